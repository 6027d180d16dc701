// Sums per channel over the positions of channels-last tensors, on all threads.
#pragma once
#include <algorithm>
#include <vector>

#include "kernel.h"

namespace kidneyseg {

constexpr int64_t kChannelBlock = 16;      // channels whose sums are kept in registers
constexpr int64_t kFloatPositions = 2048;  // summed in float32 before they are added to sums in double

// Into how many chunks the positions of each group are cut, so that all threads have work.
inline int64_t chunks_per_group(int64_t groups, int64_t positions) {
  return std::max<int64_t>(1, std::min(positions / 512, 4 * int64_t(thread_count()) / groups + 1));
}

// Adds two sums per channel over the positions [begin, end). terms(offset, channel, first, second) adds the summands of
// the element at `offset`.
template <class Terms>
void add_sums(int64_t begin, int64_t end, int64_t channels, double *first, double *second, const Terms &terms) {
  for (int64_t from = begin; from < end; from += kFloatPositions) {
    const int64_t to = std::min(end, from + kFloatPositions);
    for (int64_t c0 = 0; c0 < channels; c0 += kChannelBlock) {
      float a[kChannelBlock] = {}, b[kChannelBlock] = {};
      if (channels - c0 >= kChannelBlock) {
        for (int64_t p = from; p < to; ++p) {
          for (int64_t i = 0; i < kChannelBlock; ++i) terms(p * channels + c0 + i, c0 + i, a[i], b[i]);
        }
      } else {
        for (int64_t p = from; p < to; ++p) {
          for (int64_t i = 0; i < channels - c0; ++i) terms(p * channels + c0 + i, c0 + i, a[i], b[i]);
        }
      }
      for (int64_t i = 0; i < std::min(kChannelBlock, channels - c0); ++i) {
        first[c0 + i] += a[i];
        second[c0 + i] += b[i];
      }
    }
  }
}

// Two sums per group and channel, each (groups, channels).
struct Sums { std::vector<double> first, second; };

// The sums over the `positions` of each group; make_terms(group) gives the terms of add_sums().
template <class MakeTerms>
Sums sum_groups(int64_t groups, int64_t positions, int64_t channels, const MakeTerms &make_terms) {
  const int64_t chunks = chunks_per_group(groups, positions);
  std::vector<double> partial(groups * chunks * 2 * channels);
  parallel_for(groups * chunks, [&](int64_t task) {
    const int64_t group = task / chunks, chunk = task % chunks, start = group * positions;
    double *sums = partial.data() + task * 2 * channels;
    add_sums(start + chunk * positions / chunks, start + (chunk + 1) * positions / chunks, channels, sums,
             sums + channels, make_terms(group));
  });
  Sums total{std::vector<double>(groups * channels), std::vector<double>(groups * channels)};
  for (int64_t task = 0; task < groups * chunks; ++task) {
    for (int64_t c = 0; c < channels; ++c) {
      total.first[task / chunks * channels + c] += partial[task * 2 * channels + c];
      total.second[task / chunks * channels + c] += partial[(task * 2 + 1) * channels + c];
    }
  }
  return total;
}

}  // namespace kidneyseg
