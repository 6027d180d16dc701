// Conversions between the layouts channels-first (N, C, *S) and channels-last (N, *S, C), and concatenation along the
// channels.
#include <algorithm>

#include "kernel.h"

namespace kidneyseg {
namespace {

constexpr int64_t kTile = 64;

// from (n, rows, columns) -> to (n, columns, rows), in tiles that fit into the first-level cache.
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

// Calls copy(channels of a part, channels of the whole, their number) for all positions of all parts: the arguments
// [first, first + parts), which `whole` is the concatenation of.
template <class Copy>
void for_each_part(const Arguments &args, const Tensor &whole, int first, int parts, const Copy &copy) {
  const Volume shape = whole.volume();
  parallel_ranges(shape.n * shape.positions(), 512, [&](int64_t begin, int64_t end) {
    int64_t channel = 0;
    for (int i = first; i < first + parts; ++i) {
      const int64_t channels = args[i].length(1);
      float *part = args[i].floats(), *all = whole.floats() + channel;
      for (int64_t p = begin; p < end; ++p) copy(part + p * channels, all + p * shape.c, channels);
      channel += channels;
    }
  });
}

}  // namespace

KERNEL(ToChannelsLast) {
  enum { kX, kY };
  const Volume shape = args[kX].volume();
  transpose(args[kX].floats(), args[kY].floats(), shape.n, shape.c, shape.positions());
}

KERNEL(ToChannelsFirst) {
  enum { kX, kY };
  const Volume shape = args[kX].volume();
  transpose(args[kX].floats(), args[kY].floats(), shape.n, shape.positions(), shape.c);
}

// x_1, ..., x_k -> y
KERNEL(ConcatForward) {
  const int parts = args.count() - 1;
  const Tensor y = args[parts];
  for_each_part(args, y, 0, parts, [](float *part, float *all, int64_t channels) { std::copy_n(part, channels, all); });
}

// dy, k markers (operators.py) -> dx_1, ..., dx_k
KERNEL(ConcatBackward) {
  const int parts = (args.count() - 1) / 2;
  const Tensor dy = args[0];
  for_each_part(args, dy, 1 + parts, parts,
                [](float *part, float *all, int64_t channels) { std::copy_n(all, channels, part); });
}

}  // namespace kidneyseg
