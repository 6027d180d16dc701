// Where an interpolated value comes from, along one axis.
#pragma once
#include <algorithm>
#include <cstdint>

struct Weight { int64_t low, high; float low_share, high_share; };  // value = shares times in[low] and in[high]

// Sample points are voxel centres: output i looks at input (i + 0.5) * in / out - 0.5, kept within the first and the
// last voxel (PyTorch's align_corners=False).
inline Weight linear(int64_t in, int64_t out, int64_t i) {
  const double source = std::min(std::max((i + 0.5) * in / out - 0.5, 0.0), in - 1.0);
  const int64_t low = static_cast<int64_t>(source);
  const float share = static_cast<float>(source - low);
  return {low, std::min(low + 1, in - 1), 1 - share, share};
}

// Output i looks at input i * in / out, rounded down.
inline Weight nearest(int64_t in, int64_t out, int64_t i) { return {i * in / out, i * in / out, 1.0f, 0.0f}; }
