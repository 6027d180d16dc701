#include "backend.h"

#include <filesystem>

#include "error.h"

namespace kidneyseg {
namespace {

struct Kind {
  const char *suffix, *name;
  std::unique_ptr<Backend> (*open)(const Settings &);
};

const std::initializer_list<Kind> kKinds = {
#ifdef KIDNEYSEG_OPENVINO
    {".onnx", "OpenVINO", open_openvino},
    {".xml", "OpenVINO", open_openvino},
#endif
#ifdef KIDNEYSEG_LITE
    {".mindir", "MindSpore Lite", open_lite},
#endif
};

}  // namespace

std::unique_ptr<Backend> open_backend(const Settings &settings) {
  const std::filesystem::path file = settings.model;
  std::string known;
  for (const Kind &kind : kKinds) {
    if (file.extension() == kind.suffix) {
      if (!std::filesystem::is_regular_file(file)) throw Error(settings.model + ": expected a graph, found none there");
      return kind.open(settings);
    }
    known += (known.empty() ? "" : ", ") + std::string(kind.suffix) + " (" + kind.name + ")";
  }
  throw Error(settings.model + ": expected a graph that this program was built for: " + known);
}

Shape batched(const Shape &own, const Settings &settings) {
  Shape shape = own;
  if (shape.empty()) throw Error("expected a graph whose input has axes, found a number");
  const bool open = shape[0] < 1;
  if (open) shape[0] = settings.batch > 0 ? settings.batch : 1;
  for (int64_t length : shape) {
    if (length < 1) throw Error("expected only the batch to be open, found input " + to_text(own));
  }
  if (!open && settings.batch > 0 && settings.batch != shape[0]) {
    throw Error("expected a graph for batches of " + std::to_string(settings.batch) +
                ", found input " + to_text(own));
  }
  return shape;
}

}  // namespace kidneyseg
