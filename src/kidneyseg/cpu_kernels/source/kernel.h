// What every kernel needs: how MindSpore calls it, and shapes.
//
// MindSpore calls a custom operator as int f(int count, void **data, int *ndims, int64_t **shapes, const char **types,
// void *stream, void *extra): the tensors are the inputs followed by the outputs, outputs already allocated, and a
// result other than 0 raises in Python. Attributes do not reach it, so settings come as a last, tiny input tensor.
//
// Tensors of activations have the shape (N, C, *spatial) in MindSpore's eyes but lie in memory channels-last, as
// (N, *spatial, C): between kernels no value moves, and every loop over channels is contiguous.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "thread_pool.h"

using Shape = std::vector<int64_t>;

// Activations with two spatial axes have depth 1.
struct Volume {
  int64_t n, c, d, h, w;
  explicit Volume(const Shape &shape)
      : n(shape[0]), c(shape[1]), d(shape.size() == 5 ? shape[2] : 1), h(shape[shape.size() - 2]),
        w(shape[shape.size() - 1]) {}
  int64_t positions() const { return d * h * w; }
};

class Arguments {
 public:
  Arguments(int count, void **data, int *ndims, int64_t **shapes)
      : count_(count), data_(data), ndims_(ndims), shapes_(shapes) {}
  int count() const { return count_; }
  float *floats(int i) const { return static_cast<float *>(data_[i]); }
  const int64_t *integers(int i) const { return static_cast<const int64_t *>(data_[i]); }
  Shape shape(int i) const { return Shape(shapes_[i], shapes_[i] + ndims_[i]); }
  Volume volume(int i) const { return Volume(shape(i)); }

 private:
  int count_;
  void **data_;
  int *ndims_;
  int64_t **shapes_;
};

// Defines the function MindSpore looks up by `name`; the body that follows sees `const Arguments &args`.
#define KERNEL(name)                                                                         \
  static void name##_body(const Arguments &args);                                            \
  extern "C" __attribute__((visibility("default"))) int name(                                \
      int count, void **data, int *ndims, int64_t **shapes, const char **, void *, void *) { \
    try {                                                                                    \
      std::lock_guard<std::mutex> turn(kernel_turn());                                       \
      name##_body(Arguments(count, data, ndims, shapes));                                    \
      return 0;                                                                              \
    } catch (const std::exception &error) {                                                  \
      std::fprintf(stderr, "kidneyseg.cpu_kernels: %s: %s\n", #name, error.what());                  \
      return 1;                                                                              \
    }                                                                                        \
  }                                                                                          \
  static void name##_body(const Arguments &args)
