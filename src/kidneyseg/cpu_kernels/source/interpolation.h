// Interpolation along one axis: which inputs an output is made of.
#pragma once
#include <algorithm>
#include <cstdint>

namespace kidneyseg {

// out = low_weight * in[low] + high_weight * in[high]
struct Coefficients { int64_t low, high; float low_weight, high_weight; };

// Samples are at voxel centres: output i is at input (i + 0.5) * in / out - 0.5, clamped to the first and the last
// voxel (PyTorch's align_corners=False).
inline Coefficients linear(int64_t in, int64_t out, int64_t i) {
  const double source = std::min(std::max((i + 0.5) * in / out - 0.5, 0.0), in - 1.0);
  const int64_t low = static_cast<int64_t>(source);
  const float fraction = static_cast<float>(source - low);
  return {low, std::min(low + 1, in - 1), 1 - fraction, fraction};
}

// Output i is input i * in / out, rounded down.
inline Coefficients nearest(int64_t in, int64_t out, int64_t i) { return {i * in / out, i * in / out, 1.0f, 0.0f}; }

}  // namespace kidneyseg
