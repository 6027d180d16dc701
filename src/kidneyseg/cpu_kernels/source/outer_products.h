// The microkernel of weight gradients: sums over positions of products of input channels with output channels.
#pragma once
#include "simd.h"

namespace kidneyseg {

// sums (CHANNELS, 16) += x^T dy over `rows` rows of `count` positions: x (rows, count, CHANNELS), dy (rows x count,
// 16), with the given strides between positions, and `x_row_stride` between rows of x.
template <int CHANNELS>
void add_outer_products(const float *x, int64_t x_stride, int64_t x_row_stride, const float *dy, int64_t dy_stride,
                        int64_t rows, int64_t count, float *sums, int64_t sums_stride) {
  Vector own[CHANNELS][2] = {};  // rounds less than sums that have grown over all positions
  for (int64_t row = 0; row < rows; ++row, x += x_row_stride) {
    const float *at = x;
    for (int64_t i = 0; i < count; ++i, at += x_stride, dy += dy_stride) {
      const Vector low = load(dy), high = load(dy + kLanes);
#pragma GCC unroll 6
      for (int r = 0; r < CHANNELS; ++r) {
        own[r][0] += at[r] * low;
        own[r][1] += at[r] * high;
      }
    }
  }
  for (int r = 0; r < CHANNELS; ++r) {
    for (int v = 0; v < 2; ++v) {
      float *to = sums + r * sums_stride + v * kLanes;
      store(to, load(to) + own[r][v]);
    }
  }
}

using AddOuterProducts = void (*)(const float *, int64_t, int64_t, const float *, int64_t, int64_t, int64_t, float *,
                                  int64_t);
constexpr AddOuterProducts kAddOuterProducts[kMr + 1] = {  // by the number of input channels
    nullptr, add_outer_products<1>, add_outer_products<2>, add_outer_products<3>, add_outer_products<4>,
    add_outer_products<5>, add_outer_products<6>};

// Channels [first, first + channels), cut into `count` blocks of at most kMr, as equal as possible.
struct ChannelBlocks {
  int64_t first, channels, count;
  ChannelBlocks(int64_t first_channel, int64_t number)
      : first(first_channel), channels(number), count(divide_up(number, kMr)) {}
  int64_t begin(int64_t block) const { return channels * block / count; }  // counted from `first`
  int64_t size(int64_t block) const { return begin(block + 1) - begin(block); }
};

}  // namespace kidneyseg
