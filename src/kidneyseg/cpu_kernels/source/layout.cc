// Into the channels-last layout and out of it, and joining tensors along the channels.
#include <algorithm>

#include "kernel.h"

namespace {

constexpr int64_t kTile = 64;

// from (n, rows, columns) -> to (n, columns, rows), in tiles that stay in the first cache.
void transpose(const float *from, float *to, int64_t n, int64_t rows, int64_t columns) {
  const int64_t strips = (columns + kTile - 1) / kTile;
  parallel_ranges(n * strips, 16, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t first = strip % strips * kTile, last = std::min(columns, first + kTile);
      const float *source = from + strip / strips * rows * columns;
      float *target = to + strip / strips * rows * columns;
      for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
        const int64_t r1 = std::min(rows, r0 + kTile);
        for (int64_t c = first; c < last; ++c) {
          for (int64_t r = r0; r < r1; ++r) target[c * rows + r] = source[r * columns + c];
        }
      }
    }
  });
}

// Copies the parts of a tensor's channels between it and the tensors it is joined from. `joined` is the index of the
// joined tensor, the parts are [first, first + parts).
template <class Copy>
void for_parts(const Arguments &args, int joined, int first, int parts, const Copy &copy) {
  const Volume whole = args.volume(joined);
  parallel_ranges(whole.n * whole.positions(), 512, [&](int64_t begin, int64_t end) {
    int64_t channel = 0;
    for (int part = first; part < first + parts; ++part) {
      const int64_t channels = args.shape(part)[1];
      float *own = args.floats(part), *all = args.floats(joined) + channel;
      for (int64_t p = begin; p < end; ++p) copy(own + p * channels, all + p * whole.c, channels);
      channel += channels;
    }
  });
}

}  // namespace

// plain -> channels-last
KERNEL(Enter) {
  const Volume shape = args.volume(0);
  transpose(args.floats(0), args.floats(1), shape.n, shape.c, shape.positions());
}

// channels-last -> plain
KERNEL(Leave) {
  const Volume shape = args.volume(0);
  transpose(args.floats(0), args.floats(1), shape.n, shape.positions(), shape.c);
}

// x_1, ..., x_k -> all of them, one after the other along the channels
KERNEL(Join) {
  const int parts = args.count() - 1;
  for_parts(args, parts, 0, parts, [](float *own, float *all, int64_t channels) { std::copy_n(own, channels, all); });
}

// dy, k markers (operators.py) -> dx_1, ..., dx_k
KERNEL(Split) {
  const int parts = (args.count() - 1) / 2;
  for_parts(args, 0, 1 + parts, parts,
            [](float *own, float *all, int64_t channels) { std::copy_n(all, channels, own); });
}
