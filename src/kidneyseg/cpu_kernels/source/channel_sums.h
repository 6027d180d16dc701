// Sums over the positions of channels-last tensors, on all threads.
#pragma once
#include <algorithm>
#include <vector>

#include "kernel.h"

constexpr int64_t kStripe = 16;       // channels whose sums are kept in registers
constexpr int64_t kPositions = 2048;  // summed in float32 before the double takes over

// Adds two sums per channel over a range of positions. terms(offset, channel, first, second) gives the summands of
// element `offset`.
template <class Terms>
void add_sums(int64_t begin, int64_t end, int64_t channels, double *first, double *second, const Terms &terms) {
  for (int64_t from = begin; from < end; from += kPositions) {
    const int64_t to = std::min(end, from + kPositions);
    for (int64_t c0 = 0; c0 < channels; c0 += kStripe) {
      float a[kStripe] = {}, b[kStripe] = {};
      if (channels - c0 >= kStripe) {
        for (int64_t p = from; p < to; ++p) {
          for (int64_t i = 0; i < kStripe; ++i) terms(p * channels + c0 + i, c0 + i, a[i], b[i]);
        }
      } else {
        for (int64_t p = from; p < to; ++p) {
          for (int64_t i = 0; i < channels - c0; ++i) terms(p * channels + c0 + i, c0 + i, a[i], b[i]);
        }
      }
      for (int64_t i = 0; i < std::min(kStripe, channels - c0); ++i) {
        first[c0 + i] += a[i];
        second[c0 + i] += b[i];
      }
    }
  }
}

// Sums per group and channel: result[group * channels + c] of both. `positions` belong to each group.
struct Sums { std::vector<double> first, second; };

template <class Make>
Sums sum_groups(int64_t groups, int64_t positions, int64_t channels, const Make &make_terms) {
  const int64_t shares = std::max<int64_t>(1, std::min(positions / 512, 4 * int64_t(thread_count()) / groups + 1));
  std::vector<double> partial(groups * shares * 2 * channels);
  parallel(groups * shares, [&](int64_t task) {
    const int64_t group = task / shares, share = task % shares, start = group * positions;
    double *sums = partial.data() + task * 2 * channels;
    add_sums(start + share * positions / shares, start + (share + 1) * positions / shares, channels, sums,
             sums + channels, make_terms(group));
  });
  Sums total{std::vector<double>(groups * channels), std::vector<double>(groups * channels)};
  for (int64_t task = 0; task < groups * shares; ++task) {
    for (int64_t c = 0; c < channels; ++c) {
      total.first[task / shares * channels + c] += partial[task * 2 * channels + c];
      total.second[task / shares * channels + c] += partial[(task * 2 + 1) * channels + c];
    }
  }
  return total;
}
