// Up-sampling of channels-last activations, linear or nearest, one axis after the other. How far follows from the
// shapes.
#include <algorithm>
#include <vector>

#include "interpolation.h"
#include "onednn.h"

namespace kidneyseg {
namespace {

constexpr int kSlotPasses = kSlotWork + 2;  // two blocks, used in turns

using Interpolation = Coefficients (*)(int64_t in, int64_t out, int64_t i);

// x (outer, in, inner) -> y (outer, out, inner)
template <Interpolation coefficients>
void interpolate(const float *x, float *y, int64_t outer, int64_t in, int64_t out, int64_t inner) {
  parallel_ranges(outer * out, std::max<int64_t>(1, 8192 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Coefficients k = coefficients(in, out, row % out);
      const float *low = x + (row / out * in + k.low) * inner, *high = x + (row / out * in + k.high) * inner;
      float *to = y + row * inner;
      for (int64_t i = 0; i < inner; ++i) to[i] = low[i] + k.high_weight * (high[i] - low[i]);
    }
  });
}

// The transpose: dy (outer, out, inner) -> dx (outer, in, inner)
template <Interpolation coefficients>
void interpolate_backward(const float *dy, float *dx, int64_t outer, int64_t in, int64_t out, int64_t inner) {
  std::vector<std::vector<std::pair<int64_t, float>>> sources(in);  // the outputs that an input is in, and its weight
  for (int64_t i = 0; i < out; ++i) {
    const Coefficients k = coefficients(in, out, i);
    sources[k.low].emplace_back(i, k.low_weight);
    if (k.high_weight != 0) sources[k.high].emplace_back(i, k.high_weight);
  }
  parallel_ranges(outer * in, std::max<int64_t>(1, 8192 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float *to = dx + row * inner;
      std::fill_n(to, inner, 0.0f);
      for (const auto &[i, weight] : sources[row % in]) {
        const float *from = dy + (row / in * out + i) * inner;
        for (int64_t k = 0; k < inner; ++k) to[k] += weight * from[k];
      }
    }
  });
}

using Pass = void (*)(const float *, float *, int64_t outer, int64_t in, int64_t out, int64_t inner);
enum Direction { kForward, kBackward };

// Runs one pass for each axis whose length changes; in the order that makes the small tensors first.
void run_passes(const Tensor &input, const Tensor &output, Pass pass, Direction direction) {
  const Volume from = input.volume(), to = output.volume();
  const float *x = input.floats();
  float *y = output.floats();
  int64_t size[3] = {from.d, from.h, from.w};
  const int64_t goal[3] = {to.d, to.h, to.w};
  int left = 0;
  for (int axis = 0; axis < 3; ++axis) left += size[axis] != goal[axis];
  if (left == 0) std::copy_n(x, from.size(), y);
  int turn = 0;
  for (int i = 0; i < 3; ++i) {
    const int axis = direction == kForward ? i : 2 - i;
    if (size[axis] == goal[axis]) continue;
    int64_t outer = from.n, inner = from.c;
    for (int a = 0; a < axis; ++a) outer *= size[a];
    for (int a = axis + 1; a < 3; ++a) inner *= size[a];
    const size_t bytes = outer * inner * goal[axis] * sizeof(float);
    float *target = --left == 0 ? y : static_cast<float *>(scratch(kSlotPasses + turn, bytes));
    const int64_t small = std::min(size[axis], goal[axis]), large = std::max(size[axis], goal[axis]);
    pass(x, target, outer, small, large, inner);
    size[axis] = goal[axis];
    x = target;
    turn = 1 - turn;
  }
}

}  // namespace

KERNEL(UpsampleLinearForward) {
  enum { kX, kY };
  run_passes(args[kX], args[kY], interpolate<linear>, kForward);
}

KERNEL(UpsampleLinearBackward) {
  enum { kDy, kDx };
  run_passes(args[kDy], args[kDx], interpolate_backward<linear>, kBackward);
}

KERNEL(UpsampleNearestForward) {
  enum { kX, kY };
  run_passes(args[kX], args[kY], interpolate<nearest>, kForward);
}

KERNEL(UpsampleNearestBackward) {
  enum { kDy, kDx };
  run_passes(args[kDy], args[kDx], interpolate_backward<nearest>, kBackward);
}

}  // namespace kidneyseg
