// What both gradients of weights sum up: products of every input channel with every output channel, over places.
#pragma once
#include "simd.h"

// sums (ROWS, 16) += x^T dy over `rows` rows of `count` places: x (rows, count, ROWS), dy (rows x count, 16), with the
// given steps between places, and `x_row` between rows of x.
template <int ROWS>
void add_outer_products(const float *x, int64_t x_step, int64_t x_row, const float *dy, int64_t dy_step, int64_t rows,
                        int64_t count, float *sums, int64_t sums_step) {
  Vector own[ROWS][2] = {};  // rounds less than sums that have grown over all places
  for (int64_t row = 0; row < rows; ++row, x += x_row) {
    const float *at = x;
    for (int64_t i = 0; i < count; ++i, at += x_step, dy += dy_step) {
      const Vector low = load(dy), high = load(dy + kLanes);
#pragma GCC unroll 6
      for (int r = 0; r < ROWS; ++r) {
        own[r][0] += at[r] * low;
        own[r][1] += at[r] * high;
      }
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int v = 0; v < 2; ++v) {
      float *to = sums + r * sums_step + v * kLanes;
      store(to, load(to) + own[r][v]);
    }
  }
}

using AddOuterProducts = void (*)(const float *, int64_t, int64_t, const float *, int64_t, int64_t, int64_t, float *,
                                  int64_t);
constexpr AddOuterProducts kAddOuterProducts[kRows + 1] = {
    nullptr, add_outer_products<1>, add_outer_products<2>, add_outer_products<3>, add_outer_products<4>,
    add_outer_products<5>, add_outer_products<6>};

// Channels [first, first + count), cut into groups of at most kRows, as even as can be.
struct Groups {
  int64_t first, count, groups;
  Groups(int64_t first_channel, int64_t channels)
      : first(first_channel), count(channels), groups(blocks(channels, kRows)) {}
  int64_t begin(int64_t group) const { return count * group / groups; }
  int64_t size(int64_t group) const { return begin(group + 1) - begin(group); }
};
