// An up-convolution (kernel and stride 2) and the convolution after it (kernel 3) as one, without the up-sampled
// features.
//
// Both are linear, and the two fine voxels around a corner of the coarse grid, along every axis, depend on no more than
// the two coarse voxels around it. So both together are a convolution with a kernel of 2 whose outputs are at the
// corners, with channels for each of the fine voxels there (sub-pixel convolution: Shi et al., Real-Time Single Image
// and Video Super-Resolution, CVPR 2016). It is computed by Winograd's minimal filtering.
#include "winograd_choice.h"
#include "winograd_gemm.h"

namespace kidneyseg {
namespace {

// An axis of y: its fine voxels are the lower and the upper one at each corner; the first and the last corner have one.
struct FineAxis {
  int64_t length;
  bool doubled;  // false for the missing depth of two spatial axes
  int64_t voxel(int64_t corner, int64_t upper) const { return doubled ? 2 * corner - 1 + upper : corner; }
  bool has(int64_t voxel) const { return voxel >= 0 && voxel < length; }
  // The entry of `border` for a voxel: 0 at the low end, 2 at the high end, else 1.
  int64_t border(int64_t voxel) const { return !doubled || voxel == 0 ? 0 : voxel == length - 1 ? 2 : 1; }
};

}  // namespace

// x (N, C, *S) and y, addend (N, K, *2 S) channels-last, K a multiple of 8; weights (2^axes K, C, 2, ...), outputs by
// fine voxel (depth slowest) and channel; border (1, K, 3, ...) channels-last: what is added to the convolution at the
// low end of an axis, between, and at the high end; epilogue (3, K): see epilogue.h.
KERNEL(SubpixelConvolutionForward) {
  enum { kX, kWeights, kBorder, kEpilogue, kAddend, kY };
  const Volume x = args[kX].volume(), y = args[kY].volume();
  const Shape shape = args[kWeights].shape(), padding(shape.size() - 2, 1);
  const bool flat = padding.size() == 2;
  Volume corners = x;
  corners.c = shape[0], corners.d += !flat, ++corners.h, ++corners.w;
  const int64_t taps = flat ? 4 : 8;
  const Filters filters = {args[kWeights].floats(), shape[0], shape[1], shape[1] * taps, taps,
                           Shape(padding.size(), 2), false};
  const Epilogue epilogue = Epilogue::with_addend(args[kEpilogue], args[kAddend]);
  const FineAxis depth{y.d, !flat}, height{y.h, true}, width{y.w, true};
  const float *in = args[kX].floats(), *borders = args[kBorder].floats();
  float *out = args[kY].floats();
  with_best_tiling<2>(x, corners, filters, padding, [&](const auto &tiling) {
    multiply_tiles(tiling, in, filters, [&](auto &values, int64_t tile, int64_t c) {
      const int64_t voxel = c / y.c, channel = c % y.c;
      const Epilogue::Channels channels = epilogue.channels(channel, kLanes);
      tiling.for_each_output_line(values, tile, [&](int64_t n, int64_t d, int64_t h, int64_t w, const Vector *line,
                                                    int64_t count) {
        d = depth.voxel(d, voxel / 4), h = height.voxel(h, voxel / 2 % 2);
        if (!depth.has(d) || !height.has(h)) return;
        const int64_t row = ((n * y.d + d) * y.h + h) * y.w;
        const float *border = borders + (depth.border(d) * 3 + height.border(h)) * 3 * y.c + channel;
        for (int64_t i = 0; i < count; ++i) {
          const int64_t at = width.voxel(w + i, voxel % 2);
          if (!width.has(at)) continue;
          channels.write(line[i] + load(border + width.border(at) * y.c), out, (row + at) * y.c + channel);
        }
      });
    });
  });
}

}  // namespace kidneyseg
