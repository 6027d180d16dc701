// Filters and tiles of the input to the points of Winograd's filtering, and a matrix product (tiles, inputs) by
// (inputs, outputs) at each of the points. A block of tiles goes through all steps before the next one, to stay in the
// cache.
#pragma once
#include <atomic>

#include "onednn.h"
#include "winograd.h"
#include "winograd_tiling.h"

namespace kidneyseg {

constexpr int kSlotFilters = kSlotWork, kSlotTiles = kSlotWork + 1;
// Floats of a block of tiles that fit into the second-level cache; and floats of filters that the third level gives
// fast enough for small blocks. With larger filters, blocks beyond the second level are faster.
constexpr int64_t kTileCache = 1 << 17, kFilterCache = 1 << 21;

// out (ROWS, 16) = x (ROWS, inputs) * weights (inputs, 16): all sums stay in registers.
template <int ROWS>
void gemm_microkernel(const float *x, int64_t x_stride, const float *weights, int64_t inputs, float *out,
                      int64_t out_stride) {
  Vector sums[ROWS][2] = {};
  for (int64_t c = 0; c < inputs; ++c, weights += kNr) {
    const Vector low = load(weights), high = load(weights + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
      sums[r][0] += x[r * x_stride + c] * low;
      sums[r][1] += x[r * x_stride + c] * high;
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    store(out + r * out_stride, sums[r][0]);
    store(out + r * out_stride + kLanes, sums[r][1]);
  }
}

using GemmMicrokernel = void (*)(const float *, int64_t, const float *, int64_t, float *, int64_t);
constexpr GemmMicrokernel kGemmMicrokernels[kMr + 1] = {  // by the number of rows
    nullptr, gemm_microkernel<1>, gemm_microkernel<2>, gemm_microkernel<3>, gemm_microkernel<4>, gemm_microkernel<5>,
    gemm_microkernel<6>};

// Filters of 16 outputs from `first` on -> (point, input, 16), points `stride` apart, zeros after the last output.
template <class Tiling>
void transform_filters(const Filters &filters, int64_t first, float *out, int64_t stride) {
  for (int64_t c = 0; c < filters.inputs; ++c) {
    for (int half = 0; half < kNr; half += kLanes) {
      typename Tiling::Values v = {};
      for (int64_t k = 0; k < std::min<int64_t>(kLanes, filters.outputs - first - half); ++k) {
        const float *from = filters.values + (first + half + k) * filters.output_stride + c * filters.input_stride;
        for (int tap = 0; tap < Tiling::taps; ++tap) {
          v.tap(tap)[k] = from[filters.reversed ? Tiling::taps - 1 - tap : tap];
        }
      }
      for (int d = 0; d < Tiling::Depth::taps; ++d) {
        for (int h = 0; h < Tiling::Plane::taps; ++h) Tiling::Plane::filter(v.at[d][h], 1);
        for (int w = 0; w < Tiling::P; ++w) Tiling::Plane::filter(&v.at[d][0][w], Tiling::P);
      }
      constexpr int plane = Tiling::P * Tiling::P;
      for (int i = 0; i < plane; ++i) Tiling::Depth::filter(&v[i], plane);
      for (int i = 0; i < Tiling::points; ++i) store(out + i * stride + c * kNr + half, v[i]);
    }
  }
}

// Calls write(values, tile, c) with the values at the points of every tile's outputs, channels [c, c + kLanes), on all
// threads.
template <class Tiling, class Write>
void multiply_tiles(const Tiling &tiling, const float *x, const Filters &filters, const Write &write) {
  constexpr int points = Tiling::points;
  const int64_t inputs = round_up(filters.inputs, kLanes), outputs = round_up(filters.outputs, kNr);
  // A cache line more than needed, lest strides are powers of two, whose multiples compete for the same lines.
  const int64_t filter_stride = filters.inputs * kNr + kNr;
  const int64_t in_stride = points * inputs + kNr, out_stride = points * outputs + kNr;

  float *weights = static_cast<float *>(scratch(kSlotFilters, outputs / kNr * points * filter_stride * sizeof(float)));
  parallel_for(outputs / kNr, [&](int64_t block) {
    transform_filters<Tiling>(filters, block * kNr, weights + block * points * filter_stride, filter_stride);
  });

  const int64_t threads = thread_count();
  const int64_t min_blocks = points * inputs * outputs > kFilterCache ? 8 : 2;
  const int64_t fitting = std::clamp<int64_t>(kTileCache / (in_stride + out_stride) / kMr, min_blocks, 16) * kMr;
  const int64_t length = std::min(fitting, round_up(divide_up(tiling.count, threads), kMr));
  const int64_t size = length * (in_stride + out_stride);
  float *buffers = static_cast<float *>(scratch(kSlotTiles, threads * size * sizeof(float)));
  std::atomic<int64_t> next{0};
  parallel_for(threads, [&](int64_t thread) {
    float *in = buffers + thread * size, *out = in + length * in_stride;  // (tile, point, channel)
    typename Tiling::Values v;
    for (int64_t first = next.fetch_add(length); first < tiling.count; first = next.fetch_add(length)) {
      const int64_t count = std::min(length, tiling.count - first);
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < inputs; c += kLanes) {
          tiling.transform_input(x, first + i, c, v);
          for (int p = 0; p < points; ++p) store_and_prefetch(in + i * in_stride + p * inputs + c, v[p]);
        }
      }
      for (int p = 0; p < points; ++p) {
        for (int64_t k = 0; k < outputs; k += kNr) {
          const float *own = weights + (k / kNr * points + p) * filter_stride;
          for (int64_t i = 0; i < count; i += kMr) {
            kGemmMicrokernels[std::min<int64_t>(kMr, count - i)](in + i * in_stride + p * inputs, in_stride, own,
                                                                 filters.inputs, out + i * out_stride + p * outputs + k,
                                                                 out_stride);
          }
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < filters.outputs; c += kLanes) {
          for (int p = 0; p < points; ++p) v[p] = load_and_prefetch(out + i * out_stride + p * outputs + c);
          write(v, first + i, c);
        }
      }
    }
  });
}

}  // namespace kidneyseg
