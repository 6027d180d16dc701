// ReLU and leaky ReLU: y = x where x > 0, else slope * x. Element-wise, so any layout will do.
#include "kernel.h"

namespace kidneyseg {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth a task

}  // namespace

// slope (1,)
KERNEL(ActivationForward) {
  enum { kX, kSlope, kY };
  const float *x = args[kX].floats(), slope = args[kSlope].floats()[0];
  float *y = args[kY].floats();
  parallel_ranges(args[kX].volume().size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : x[i] * slope;
  });
}

KERNEL(ActivationBackward) {
  enum { kX, kSlope, kDy, kDx };
  const float *x = args[kX].floats(), slope = args[kSlope].floats()[0], *dy = args[kDy].floats();
  float *dx = args[kDx].floats();
  parallel_ranges(args[kX].volume().size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = x[i] > 0 ? dy[i] : dy[i] * slope;
  });
}

}  // namespace kidneyseg
