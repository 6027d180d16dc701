// What runs a network on a device.
#pragma once
#include <memory>
#include <string>

#include "shape.h"

namespace kidneyseg {

struct Settings {
  std::string model;           // file
  int64_t batch = 0;           // images at a time; 0: what the graph has, 1 if it leaves that open
  std::string device = "CPU";  // or Ascend310
  int device_id = 0;           // which of several NPUs
  int threads = 0;             // of the CPU; 0: as many as the library likes
};

// A graph of one input, float32 or uint8, and one output, float32, opened for one batch size and run once.
class Backend {
 public:
  virtual ~Backend() = default;

  // (batch, channels, ...) and (batch, classes, ...), every length known.
  virtual const Shape &input() const = 0;
  virtual const Shape &output() const = 0;

  // Bytes of a number of the input: 4 of float32, 1 of uint8.
  virtual size_t input_bytes() const = 0;

  // Computes one whole batch; `images` is aligned as float32 is. Throws Error.
  virtual void run(const void *images, float *probabilities) = 0;
};

// By the model's suffix, among the backends that this program was built with. Throws Error: no backend for it, no such
// file, not a graph, another batch size, a device that is not there.
std::unique_ptr<Backend> open_backend(const Settings &settings);

// Each throws as open_backend; only those that the program was built with are defined.
std::unique_ptr<Backend> open_openvino(const Settings &settings);
std::unique_ptr<Backend> open_lite(const Settings &settings);

// The shape to open a graph with whose own input is `own`, lengths below 1 being open. Throws Error (which does not
// name the graph) when another axis than the batch is open, or the batch is fixed to another size than the settings'.
Shape batched(const Shape &own, const Settings &settings);

}  // namespace kidneyseg
