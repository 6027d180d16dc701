// Activation by itself: y = x where x > 0 and slope * x elsewhere. The layout does not matter.
#include "kernel.h"

namespace {

int64_t size(const Volume &shape) { return shape.n * shape.c * shape.positions(); }

}  // namespace

// x, slope -> y
KERNEL(ActivationForward) {
  const float *x = args.floats(0), slope = args.floats(1)[0];
  float *y = args.floats(2);
  parallel_ranges(size(args.volume(0)), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : x[i] * slope;
  });
}

// x, slope, dy -> dx
KERNEL(ActivationBackward) {
  const float *x = args.floats(0), slope = args.floats(1)[0], *dy = args.floats(2);
  float *dx = args.floats(3);
  parallel_ranges(size(args.volume(0)), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = x[i] > 0 ? dy[i] : dy[i] * slope;
  });
}
