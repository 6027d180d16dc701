// The second half of a U's step upwards: a convolution with a kernel of 3 of features at twice their size, without making
// these. What an up-convolution and the convolution after it do to coarse features is one linear map: the two fine voxels
// about a corner, along every axis, see no more than the two coarse voxels about it. So that it is a convolution with a
// kernel of 2 whose outputs are the corners, with channels for each fine voxel there (sub-pixel convolution: Shi et al.,
// Real-Time Single Image and Video Super-Resolution, CVPR 2016); and that by Winograd's filtering.
//
// Tensors: x (N, C, *S) and y (N, K, *2 S) channels-last; weights (2^axes K, C, 2, ...) plain, outputs by fine voxel
// (depth slowest) and channel; K a multiple of 8.
#include "winograd_choice.h"
#include "winograd_products.h"

namespace {

// Fine voxels of an axis of y: the lower and the upper one about each corner, the first and the last corner having one.
struct FineAxis {
  int64_t length;
  bool doubled;  // one with corners
  int64_t at(int64_t corner, int64_t upper) const { return doubled ? 2 * corner - 1 + upper : corner; }
  bool has(int64_t voxel) const { return voxel >= 0 && voxel < length; }
  int64_t border(int64_t voxel) const { return !doubled || voxel == 0 ? 0 : voxel == length - 1 ? 2 : 1; }
};

}  // namespace

// x, weights, border (1, K, 3, ...), constants, added, -> y: finished sums (epilogue.h), with what the border has for the
// voxels at the low end of an axis, between, and at the high end added to them, too
KERNEL(SubpixelForward) {
  const Volume x = args.volume(0), y = args.volume(5);
  const Shape shape = args.shape(1), padding(shape.size() - 2, 1);
  const bool flat = padding.size() == 2;
  Volume corners = x;
  corners.c = shape[0], corners.d += !flat, ++corners.h, ++corners.w;
  const int64_t taps = flat ? 4 : 8;
  const Filters filters = {args.floats(1), shape[0], shape[1], shape[1] * taps, taps, Shape(padding.size(), 2), false};
  const Finish finish(args.floats(3), args.shape(3), args.floats(4));
  const FineAxis deep{y.d, !flat}, high{y.h, true}, wide{y.w, true};
  with_best_tiles<2>(x, corners, filters, padding, [&](const auto &tiles) {
    multiply_tiles(tiles, args.floats(0), filters, [&](auto &values, int64_t tile, int64_t c) {
      const int64_t voxel = c / y.c, channel = c % y.c;
      const Finish::Channels own = finish.channels(channel, kLanes);
      tiles.outputs(values, tile, [&](int64_t n, int64_t d, int64_t h, int64_t w, const Vector *line, int64_t count) {
        d = deep.at(d, voxel / 4), h = high.at(h, voxel / 2 % 2);
        if (!deep.has(d) || !high.has(h)) return;
        const int64_t row = ((n * y.d + d) * y.h + h) * y.w;
        const float *border = args.floats(2) + (deep.border(d) * 3 + high.border(h)) * 3 * y.c + channel;
        for (int64_t i = 0; i < count; ++i) {
          const int64_t at = wide.at(w + i, voxel % 2);
          if (!wide.has(at)) continue;
          own.write(line[i] + load(border + wide.border(at) * y.c), args.floats(5), (row + at) * y.c + channel);
        }
      });
    });
  });
}
