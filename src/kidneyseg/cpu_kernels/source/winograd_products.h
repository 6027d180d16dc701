// Filters and tiles of the input to the points, and at each of them a product of matrices (tiles, inputs) by
// (inputs, outputs). A block of tiles goes through all of it before the next, so that what lies between stays in a cache.
#pragma once
#include <atomic>

#include "onednn.h"
#include "winograd.h"
#include "winograd_tiles.h"

constexpr int kSlotFilters = kSlotWork, kSlotTiles = kSlotWork + 1;
// Floats of a block of tiles that the second cache holds; and floats of filters that the third gives so fast that
// blocks may be small. Larger filters are worth blocks that go beyond the second cache.
constexpr int64_t kCached = 1 << 17, kNearFilters = 1 << 21;

// out (ROWS, 16) = x (ROWS, inputs) weights (inputs, 16)
template <int ROWS>
void multiply(const float *x, int64_t x_step, const float *weights, int64_t inputs, float *out, int64_t out_step) {
  Vector sums[ROWS][2] = {};
  for (int64_t c = 0; c < inputs; ++c, weights += kBlock) {
    const Vector low = load(weights), high = load(weights + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
      sums[r][0] += x[r * x_step + c] * low;
      sums[r][1] += x[r * x_step + c] * high;
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    store(out + r * out_step, sums[r][0]);
    store(out + r * out_step + kLanes, sums[r][1]);
  }
}

using Multiply = void (*)(const float *, int64_t, const float *, int64_t, float *, int64_t);
constexpr Multiply kMultiply[kRows + 1] = {nullptr,     multiply<1>, multiply<2>, multiply<3>,
                                           multiply<4>, multiply<5>, multiply<6>};

// Weights of 16 outputs -> (point, input, 16), points `step` apart, zeros behind the last output.
template <class Tiling>
void transform_filters(const Filters &filters, int64_t first, float *out, int64_t step) {
  for (int64_t c = 0; c < filters.inputs; ++c) {
    for (int half = 0; half < kBlock; half += kLanes) {
      typename Tiling::Values v = {};
      for (int64_t k = 0; k < std::min<int64_t>(kLanes, filters.outputs - first - half); ++k) {
        const float *from = filters.values + (first + half + k) * filters.output_step + c * filters.input_step;
        for (int tap = 0; tap < Tiling::taps; ++tap) {
          v.tap(tap)[k] = from[filters.backwards ? Tiling::taps - 1 - tap : tap];
        }
      }
      for (int d = 0; d < Tiling::Depth::taps; ++d) {
        for (int h = 0; h < Tiling::Plane::taps; ++h) Tiling::Plane::weights(v.at[d][h], 1);
        for (int w = 0; w < Tiling::P; ++w) Tiling::Plane::weights(&v.at[d][0][w], Tiling::P);
      }
      constexpr int plane = Tiling::P * Tiling::P;
      for (int i = 0; i < plane; ++i) Tiling::Depth::weights(&v[i], plane);
      for (int i = 0; i < Tiling::points; ++i) store(out + i * step + c * kBlock + half, v[i]);
    }
  }
}

// The values at the points of every tile's outputs, in channels [c, c + kLanes): write(values, tile, c).
template <class Tiling, class Write>
void multiply_tiles(const Tiling &tiles, const float *x, const Filters &filters, const Write &write) {
  constexpr int points = Tiling::points;
  const int64_t inputs = blocks(filters.inputs, kLanes) * kLanes, outputs = blocks(filters.outputs, kBlock) * kBlock;
  // A line more, lest rows that are used together fall on one line of the cache.
  const int64_t filter_step = filters.inputs * kBlock + kBlock;
  const int64_t in_step = points * inputs + kBlock, out_step = points * outputs + kBlock;

  float *weights = static_cast<float *>(scratch(kSlotFilters, outputs / kBlock * points * filter_step * sizeof(float)));
  parallel(outputs / kBlock, [&](int64_t block) {
    transform_filters<Tiling>(filters, block * kBlock, weights + block * points * filter_step, filter_step);
  });

  const int64_t threads = thread_count();
  const int64_t least = points * inputs * outputs > kNearFilters ? 8 : 2;
  const int64_t fitting = std::clamp<int64_t>(kCached / (in_step + out_step) / kRows, least, 16) * kRows;
  const int64_t length = std::min(fitting, blocks(blocks(tiles.count, threads), kRows) * kRows);
  const int64_t size = length * (in_step + out_step);
  float *space = static_cast<float *>(scratch(kSlotTiles, threads * size * sizeof(float)));
  std::atomic<int64_t> next{0};
  parallel(threads, [&](int64_t thread) {
    float *in = space + thread * size, *out = in + length * in_step;  // (tile, point, channel)
    typename Tiling::Values v;
    for (int64_t first = next.fetch_add(length); first < tiles.count; first = next.fetch_add(length)) {
      const int64_t count = std::min(length, tiles.count - first);
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < inputs; c += kLanes) {
          tiles.inputs(x, first + i, c, v);
          for (int point = 0; point < points; ++point) store_ahead(in + i * in_step + point * inputs + c, v[point]);
        }
      }
      for (int point = 0; point < points; ++point) {
        for (int64_t k = 0; k < outputs; k += kBlock) {
          const float *own = weights + (k / kBlock * points + point) * filter_step;
          for (int64_t i = 0; i < count; i += kRows) {
            kMultiply[std::min<int64_t>(kRows, count - i)](in + i * in_step + point * inputs, in_step, own,
                                                           filters.inputs, out + i * out_step + point * outputs + k,
                                                           out_step);
          }
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < filters.outputs; c += kLanes) {
          for (int point = 0; point < points; ++point) v[point] = load_ahead(out + i * out_step + point * outputs + c);
          write(v, first + i, c);
        }
      }
    }
  });
}
