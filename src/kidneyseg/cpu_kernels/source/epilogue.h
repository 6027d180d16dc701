// What becomes of a convolution's sums before they are written.
#pragma once
#include "kernel.h"
#include "simd.h"

// y = activation(scale (sum + added) + shift): a batch norm with its constants, and an activation that is linear on
// either side of zero.
struct Finish {
  const float *added = nullptr;  // as y lies in memory. Null, here and below: none
  const float *scale = nullptr, *shift = nullptr, *slope = nullptr;  // per channel; slope is that below zero

  // `constants`: (C,) shifts, or (3, C) scales, shifts and slopes.
  Finish() = default;
  Finish(const float *constants, const Shape &shape, const float *add = nullptr) : added(add), shift(constants) {
    if (shape.size() != 2) return;
    scale = constants, shift = constants + shape[1], slope = constants + 2 * shape[1];
  }

  // Of the first `count` lanes of the channels from one on.
  struct Channels {
    const float *added;
    Vector scale, shift, slope;
    int64_t count;
    // The sum of the voxel whose channels begin at y + offset.
    void write(Vector sum, float *y, int64_t offset) const {
      if (added != nullptr) sum += load(added + offset, count);
      const Vector value = scale * sum + shift;
      store(y + offset, value > 0 ? value : slope * value, count);
    }
  };
  Channels channels(int64_t c, int64_t count) const {
    const auto of = [=](const float *constants, float none) {
      return constants == nullptr ? Vector{} + none : load(constants + c, count);
    };
    return {added, of(scale, 1), of(shift, 0), of(slope, 1), count};
  }

  // Finishes sums that have been written, of voxels [begin, end).
  void apply(float *y, int64_t begin, int64_t end, int64_t channels_of_y) const {
    if (added == nullptr && shift == nullptr) return;
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels_of_y; c += kLanes) {
        const int64_t offset = p * channels_of_y + c, count = channels_of_y - c;
        channels(c, count).write(load(y + offset, count), y, offset);
      }
    }
  }
};
