// The epilogue of a convolution: what is done to its sums before they are written (post-ops in oneDNN).
#pragma once
#include "kernel.h"
#include "simd.h"

namespace kidneyseg {

// y = activation(scale * (sum + addend) + shift), with activation(v) = v where v > 0, else slope * v: a batch norm with
// known statistics, and ReLU, leaky ReLU or PReLU. A null pointer stands for 0 (addend, shift) or 1 (scale, slope).
struct Epilogue {
  const float *addend = nullptr;  // the shape and layout of y
  const float *scale = nullptr, *shift = nullptr, *slope = nullptr;  // per channel

  static Epilogue with_bias(const Tensor &bias) {  // (C,)
    Epilogue epilogue;
    epilogue.shift = bias.floats();
    return epilogue;
  }
  // `constants` (3, C): scale, shift, slope.
  static Epilogue with_constants(const Tensor &constants) {
    const float *values = constants.floats();
    const int64_t channels = constants.length(1);
    Epilogue epilogue;
    epilogue.scale = values, epilogue.shift = values + channels, epilogue.slope = values + 2 * channels;
    return epilogue;
  }
  static Epilogue with_addend(const Tensor &constants, const Tensor &addend) {
    Epilogue epilogue = with_constants(constants);
    epilogue.addend = addend.floats();
    return epilogue;
  }

  // The constants of up to kLanes neighbouring channels.
  struct Channels {
    const float *addend;
    Vector scale, shift, slope;
    int64_t count;
    // Writes y of the voxel whose first of these channels is at y + offset.
    void write(Vector sum, float *y, int64_t offset) const {
      if (addend != nullptr) sum += load(addend + offset, count);
      const Vector value = scale * sum + shift;
      store(y + offset, value > 0 ? value : slope * value, count);
    }
  };
  // Of the channels [c, c + count), or [c, c + kLanes) where that is less.
  Channels channels(int64_t c, int64_t count) const {
    const auto of = [=](const float *constants, float neutral) {
      return constants == nullptr ? Vector{} + neutral : load(constants + c, count);
    };
    return {addend, of(scale, 1), of(shift, 0), of(slope, 1), count};
  }

  // For sums that y holds already, of the voxels [begin, end).
  void apply(float *y, int64_t begin, int64_t end, int64_t channels_of_y) const {
    if (addend == nullptr && shift == nullptr) return;
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels_of_y; c += kLanes) {
        const int64_t offset = p * channels_of_y + c, count = channels_of_y - c;
        channels(c, count).write(load(y + offset, count), y, offset);
      }
    }
  }
};

}  // namespace kidneyseg
