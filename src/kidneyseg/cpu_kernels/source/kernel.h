// The interface between MindSpore and the kernels: tensors, their shapes, and the KERNEL macro.
//
// MindSpore calls a custom operator as
//
//   int f(int count, void **data, int *ndims, int64_t **shapes, const char **types, void *stream, void *extra)
//
// The tensors are the inputs followed by the outputs, which are already allocated. A result other than 0 raises an
// exception in Python. Attributes are not passed on, so settings are a small input tensor.
//
// Every kernel names its tensors in an enum. The order is that of signatures.py: both must agree, and
// tests/cpu_kernels/test_signatures.py compares them.
//
// Layouts: activations have the shape (N, C, *spatial) for MindSpore but are stored channels-last, as (N, *spatial, C),
// so that every loop over channels is contiguous. Weights are stored as their shape says.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "thread_pool.h"

namespace kidneyseg {

using Shape = std::vector<int64_t>;

// The shape of activations. Depth is 1 where there are two spatial axes.
struct Volume {
  int64_t n, c, d, h, w;
  int64_t positions() const { return d * h * w; }
  int64_t size() const { return n * c * positions(); }
};

// A tensor in memory that MindSpore owns.
class Tensor {
 public:
  Tensor(void *data, const int64_t *shape, int axes) : data_(data), shape_(shape), axes_(axes) {}
  float *floats() const { return static_cast<float *>(data_); }
  const int64_t *integers() const { return static_cast<const int64_t *>(data_); }
  int axes() const { return axes_; }
  int64_t length(int axis) const { return shape_[axis]; }
  Shape shape() const { return Shape(shape_, shape_ + axes_); }
  Volume volume() const {
    return {shape_[0], shape_[1], axes_ == 5 ? shape_[2] : 1, shape_[axes_ - 2], shape_[axes_ - 1]};
  }

 private:
  void *data_;
  const int64_t *shape_;
  int axes_;
};

class Arguments {
 public:
  Arguments(int count, void **data, int *ndims, int64_t **shapes)
      : count_(count), data_(data), ndims_(ndims), shapes_(shapes) {}
  int count() const { return count_; }
  Tensor operator[](int i) const { return Tensor(data_[i], shapes_[i], ndims_[i]); }

 private:
  int count_;
  void **data_;
  int *ndims_;
  int64_t **shapes_;
};

// Defines the function that MindSpore looks up by `name`; the body that follows sees `const Arguments &args`.
#define KERNEL(name)                                                                         \
  static void name##_body(const Arguments &args);                                            \
  extern "C" __attribute__((visibility("default"))) int name(                                \
      int count, void **data, int *ndims, int64_t **shapes, const char **, void *, void *) { \
    try {                                                                                    \
      std::lock_guard<std::mutex> lock(kernel_mutex());                                      \
      name##_body(Arguments(count, data, ndims, shapes));                                    \
      return 0;                                                                              \
    } catch (const std::exception &error) {                                                  \
      std::fprintf(stderr, "kidneyseg.cpu_kernels: %s: %s\n", #name, error.what());          \
      return 1;                                                                              \
    }                                                                                        \
  }                                                                                          \
  static void name##_body(const Arguments &args)

}  // namespace kidneyseg
