// The gradient of a convolution's weights by Winograd's filtering: at each point a matrix product (inputs, tiles) by
// (tiles, outputs), summed over all tiles, and the sums transformed back to the taps.
#include "onednn.h"
#include "outer_products.h"
#include "winograd.h"
#include "winograd_choice.h"

namespace kidneyseg {
namespace {

constexpr int kSlotSums = kSlotWork, kSlotTiles = kSlotWork + 1;
constexpr int64_t kTileCache = 1 << 19;  // floats of a block of tiles, about

// Sums of kLanes outputs from k on and input c, points `stride` apart, -> the gradient of their weights.
template <class Tiling>
void transform_sums(const float *sums, int64_t stride, const Filters &filters, int64_t k, int64_t c) {
  constexpr int plane = Tiling::P * Tiling::P;
  typename Tiling::Values v;
  for (int i = 0; i < Tiling::points; ++i) v[i] = load(sums + i * stride);
  for (int i = 0; i < plane; ++i) Tiling::Depth::filter_gradient(&v[i], plane);
  for (int d = 0; d < Tiling::Depth::taps; ++d) {
    for (int w = 0; w < Tiling::P; ++w) Tiling::Plane::filter_gradient(&v.at[d][0][w], Tiling::P);
    for (int h = 0; h < 3; ++h) Tiling::Plane::filter_gradient(v.at[d][h], 1);
  }
  for (int64_t lane = 0; lane < std::min<int64_t>(kLanes, filters.outputs - k); ++lane) {
    float *to = filters.values + (k + lane) * filters.output_stride + c * filters.input_stride;
    for (int tap = 0; tap < Tiling::taps; ++tap) {
      to[filters.reversed ? Tiling::taps - 1 - tap : tap] = v.tap(tap)[lane];
    }
  }
}

template <class Tiling>
void run(const Tiling &tiling, const float *x, const float *dy, const Filters &filters) {
  constexpr int points = Tiling::points;
  const int64_t inputs = round_up(filters.inputs, kLanes), outputs = round_up(filters.outputs, kNr);
  const int64_t fitting = std::clamp<int64_t>(kTileCache / (points * (inputs + outputs)), 32, 256);
  const int64_t length = std::min(fitting, tiling.count);
  // A cache line more than needed, lest strides are powers of two, whose multiples compete for the same lines.
  const int64_t in_stride = length * inputs + kNr, out_stride = length * outputs + kNr;
  const int64_t sums_stride = filters.inputs * outputs + kNr;
  float *in = static_cast<float *>(scratch(kSlotTiles, points * (in_stride + out_stride) * sizeof(float)));
  float *out = in + points * in_stride;  // both (point, tile, channel)
  // (point, input, output)
  float *sums = static_cast<float *>(scratch(kSlotSums, points * sums_stride * sizeof(float)));

  for (int64_t first = 0; first < tiling.count; first += length) {
    const int64_t count = std::min(length, tiling.count - first);
    parallel_for(count, [&](int64_t i) {
      typename Tiling::Values v;
      for (int64_t c = 0; c < inputs; c += kLanes) {
        tiling.transform_input(x, first + i, c, v);
        for (int p = 0; p < points; ++p) store(in + p * in_stride + i * inputs + c, v[p]);
      }
      for (int64_t k = 0; k < outputs; k += kLanes) {
        if (k < filters.outputs) {
          tiling.transform_output_gradient(dy, first + i, k, v);
        } else {
          v = {};
        }
        for (int p = 0; p < points; ++p) store(out + p * out_stride + i * outputs + k, v[p]);
      }
    });
    parallel_for(points, [&](int64_t p) {
      float *own = sums + p * sums_stride;
      if (first == 0) std::fill_n(own, sums_stride, 0.0f);
      const ChannelBlocks blocks(0, filters.inputs);
      for (int64_t block = 0; block < blocks.count; ++block) {
        const int64_t c = blocks.begin(block);
        for (int64_t k = 0; k < outputs; k += kNr) {
          kAddOuterProducts[blocks.size(block)](in + p * in_stride + c, inputs, 0, out + p * out_stride + k, outputs, 1,
                                                count, own + c * outputs + k, outputs);
        }
      }
    });
  }
  parallel_for(filters.inputs, [&](int64_t c) {
    for (int64_t k = 0; k < filters.outputs; k += kLanes) {
      transform_sums<Tiling>(sums + c * outputs + k, sums_stride, filters, k, c);
    }
  });
}

}  // namespace

void winograd_weights_gradient(const Tensor &x, const Tensor &dy, const Shape &padding, const Filters &filters) {
  with_best_tiling<3>(x.volume(), dy.volume(), filters, padding,
                      [&](const auto &tiling) { run(tiling, x.floats(), dy.floats(), filters); });
}

}  // namespace kidneyseg
