// Interpolation, linear or of the nearest voxel, one axis after the other.
#include <algorithm>
#include <vector>

#include "interpolation.h"
#include "onednn.h"

namespace {

constexpr int kSlotPasses = kSlotWork + 2;  // two blocks, used in turns

using Sample = Weight (*)(int64_t in, int64_t out, int64_t i);

// x (outer, in, inner) -> y (outer, out, inner)
template <Sample weight>
void stretch(const float *x, float *y, int64_t outer, int64_t in, int64_t out, int64_t inner) {
  parallel_ranges(outer * out, std::max<int64_t>(1, 8192 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Weight w = weight(in, out, row % out);
      const float *low = x + (row / out * in + w.low) * inner, *high = x + (row / out * in + w.high) * inner;
      float *to = y + row * inner;
      for (int64_t i = 0; i < inner; ++i) to[i] = low[i] + w.high_share * (high[i] - low[i]);
    }
  });
}

// The transpose: dy (outer, out, inner) -> dx (outer, in, inner)
template <Sample weight>
void gather(const float *dy, float *dx, int64_t outer, int64_t in, int64_t out, int64_t inner) {
  std::vector<std::vector<std::pair<int64_t, float>>> sources(in);
  for (int64_t i = 0; i < out; ++i) {
    const Weight w = weight(in, out, i);
    sources[w.low].emplace_back(i, w.low_share);
    if (w.high_share != 0) sources[w.high].emplace_back(i, w.high_share);
  }
  parallel_ranges(outer * in, std::max<int64_t>(1, 8192 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float *to = dx + row * inner;
      std::fill_n(to, inner, 0.0f);
      for (const auto &[i, share] : sources[row % in]) {
        const float *from = dy + (row / in * out + i) * inner;
        for (int64_t k = 0; k < inner; ++k) to[k] += share * from[k];
      }
    }
  });
}

using Pass = void (*)(const float *, float *, int64_t, int64_t, int64_t, int64_t);

// Runs one pass per axis whose length changes; `axes` says in which order, so that the small tensors come first.
void run_passes(const Volume &from, const Volume &to, const float *x, float *y, Pass pass, const int (&axes)[3],
                bool backward) {
  int64_t size[3] = {from.d, from.h, from.w};
  const int64_t goal[3] = {to.d, to.h, to.w};
  int left = 0;
  for (int axis = 0; axis < 3; ++axis) left += size[axis] != goal[axis];
  if (left == 0) std::copy_n(x, from.n * from.c * from.positions(), y);
  int turn = 0;
  for (int axis : axes) {
    if (size[axis] == goal[axis]) continue;
    int64_t outer = from.n, inner = from.c;
    for (int a = 0; a < axis; ++a) outer *= size[a];
    for (int a = axis + 1; a < 3; ++a) inner *= size[a];
    const size_t bytes = outer * inner * goal[axis] * sizeof(float);
    float *target = --left == 0 ? y : static_cast<float *>(scratch(kSlotPasses + turn, bytes));
    const int64_t in = backward ? goal[axis] : size[axis], out = backward ? size[axis] : goal[axis];
    pass(x, target, outer, in, out, inner);
    size[axis] = goal[axis];
    x = target;
    turn = 1 - turn;
  }
}

}  // namespace

// x -> y, whose shape says how far to go
KERNEL(LinearForward) {
  run_passes(args.volume(0), args.volume(1), args.floats(0), args.floats(1), stretch<linear>, {0, 1, 2}, false);
}

KERNEL(NearestForward) {
  run_passes(args.volume(0), args.volume(1), args.floats(0), args.floats(1), stretch<nearest>, {0, 1, 2}, false);
}

// dy -> dx
KERNEL(LinearBackward) {
  run_passes(args.volume(0), args.volume(1), args.floats(0), args.floats(1), gather<linear>, {2, 1, 0}, true);
}

KERNEL(NearestBackward) {
  run_passes(args.volume(0), args.volume(1), args.floats(0), args.floats(1), gather<nearest>, {2, 1, 0}, true);
}
