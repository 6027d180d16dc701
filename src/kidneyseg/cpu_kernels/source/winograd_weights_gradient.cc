// The gradient of a convolution's weights: at each point a product of matrices (inputs, tiles) by (tiles, outputs),
// summed over all tiles, and the sums back from the points to the taps.
#include "onednn.h"
#include "outer_products.h"
#include "winograd.h"
#include "winograd_choice.h"

namespace {

constexpr int kSlotSums = kSlotWork, kSlotTiles = kSlotWork + 1;
constexpr int64_t kCached = 1 << 19;  // floats of a block of tiles, about

// Sums of kLanes outputs and one input, points `step` apart, -> the gradient of their weights.
template <class Tiling>
void transform_sums(const float *sums, int64_t step, const Filters &filters, int64_t k, int64_t c) {
  constexpr int plane = Tiling::P * Tiling::P;
  typename Tiling::Values v;
  for (int i = 0; i < Tiling::points; ++i) v[i] = load(sums + i * step);
  for (int i = 0; i < plane; ++i) Tiling::Depth::weight_gradients(&v[i], plane);
  for (int d = 0; d < Tiling::Depth::taps; ++d) {
    for (int w = 0; w < Tiling::P; ++w) Tiling::Plane::weight_gradients(&v.at[d][0][w], Tiling::P);
    for (int h = 0; h < 3; ++h) Tiling::Plane::weight_gradients(v.at[d][h], 1);
  }
  for (int64_t lane = 0; lane < std::min<int64_t>(kLanes, filters.outputs - k); ++lane) {
    float *to = filters.values + (k + lane) * filters.output_step + c * filters.input_step;
    for (int tap = 0; tap < Tiling::taps; ++tap) {
      to[filters.backwards ? Tiling::taps - 1 - tap : tap] = v.tap(tap)[lane];
    }
  }
}

template <class Tiling>
void run(const Tiling &tiles, const float *x, const float *dy, const Filters &filters) {
  constexpr int points = Tiling::points;
  const int64_t inputs = blocks(filters.inputs, kLanes) * kLanes, outputs = blocks(filters.outputs, kBlock) * kBlock;
  const int64_t length = std::min(std::clamp<int64_t>(kCached / (points * (inputs + outputs)), 32, 256), tiles.count);
  // A line more, lest the points of a tile fall on one line of the cache.
  const int64_t in_step = length * inputs + kBlock, out_step = length * outputs + kBlock;
  const int64_t sums_step = filters.inputs * outputs + kBlock;
  float *in = static_cast<float *>(scratch(kSlotTiles, points * (in_step + out_step) * sizeof(float)));
  float *out = in + points * in_step;  // both (point, tile, channel)
  float *sums = static_cast<float *>(scratch(kSlotSums, points * sums_step * sizeof(float)));  // (point, input, output)

  for (int64_t first = 0; first < tiles.count; first += length) {
    const int64_t count = std::min(length, tiles.count - first);
    parallel(count, [&](int64_t i) {
      typename Tiling::Values v;
      for (int64_t c = 0; c < inputs; c += kLanes) {
        tiles.inputs(x, first + i, c, v);
        for (int point = 0; point < points; ++point) store(in + point * in_step + i * inputs + c, v[point]);
      }
      for (int64_t k = 0; k < outputs; k += kLanes) {
        if (k < filters.outputs) {
          tiles.output_gradients(dy, first + i, k, v);
        } else {
          v = {};
        }
        for (int point = 0; point < points; ++point) store(out + point * out_step + i * outputs + k, v[point]);
      }
    });
    parallel(points, [&](int64_t point) {
      float *own = sums + point * sums_step;
      if (first == 0) std::fill_n(own, sums_step, 0.0f);
      const Groups channels(0, filters.inputs);
      for (int64_t group = 0; group < channels.groups; ++group) {
        const int64_t c = channels.begin(group);
        for (int64_t k = 0; k < outputs; k += kBlock) {
          kAddOuterProducts[channels.size(group)](in + point * in_step + c, inputs, 0, out + point * out_step + k,
                                                  outputs, 1, count, own + c * outputs + k, outputs);
        }
      }
    });
  }
  parallel(filters.inputs, [&](int64_t c) {
    for (int64_t k = 0; k < filters.outputs; k += kLanes) {
      transform_sums<Tiling>(sums + c * outputs + k, sums_step, filters, k, c);
    }
  });
}

}  // namespace

void winograd_weights_gradient(const float *x, const Volume &x_shape, const float *dy, const Volume &y_shape,
                               const Shape &padding, const Filters &filters) {
  with_best_tiles<3>(x_shape, y_shape, filters, padding, [&](const auto &tiles) { run(tiles, x, dy, filters); });
}
