// Global average pooling, its transpose (broadcasting over space), and attention gates: products with one factor per
// channel (squeeze and excitation: Hu et al., CVPR 2018), per position, or both. Channels-last.
#include "channel_sums.h"

namespace kidneyseg {
namespace {

// Where the factors of a gate (N, C or 1, 1...) or (N, C or 1, *S) are, for activations (N, C, *S).
struct Gate {
  int64_t positions, channels;
  explicit Gate(const Volume &shape) : positions(shape.positions()), channels(shape.c) {}
  int64_t offset(int64_t n, int64_t position) const {
    return (n * positions + (positions == 1 ? 0 : position)) * channels;
  }
};

// Calls job(sample, position in the sample, offset of the position's first channel) for all positions, on all threads.
template <class Job>
void for_each_position(const Volume &shape, const Job &job) {
  const int64_t positions = shape.positions();
  parallel_ranges(shape.n * positions, 512, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) job(p / positions, p % positions, p * shape.c);
  });
}

}  // namespace

// x (N, C, *S) -> means y (N, C, 1...)
KERNEL(SpatialMeanForward) {
  enum { kX, kY };
  const Volume shape = args[kX].volume();
  const float *x = args[kX].floats();
  float *y = args[kY].floats();
  const Sums sums = sum_groups(shape.n, shape.positions(), shape.c, [&](int64_t) {
    return [=](int64_t i, int64_t, float &sum, float &) { sum += x[i]; };
  });
  for (int64_t k = 0; k < shape.n * shape.c; ++k) y[k] = static_cast<float>(sums.first[k] / shape.positions());
}

// x (N, C, 1...), like (for the shape of y) -> y (N, C, *S), which has x at every position
KERNEL(BroadcastForward) {
  enum { kX, kLike, kY };
  const Volume shape = args[kY].volume();
  const float *x = args[kX].floats();
  float *y = args[kY].floats();
  for_each_position(shape, [&](int64_t n, int64_t, int64_t offset) {
    std::copy_n(x + n * shape.c, shape.c, y + offset);
  });
}

// y = x * gate
KERNEL(ScaleForward) {
  enum { kX, kGate, kY };
  const Volume shape = args[kX].volume();
  const Gate gate(args[kGate].volume());
  const float *all_x = args[kX].floats(), *all_factors = args[kGate].floats();
  float *all_y = args[kY].floats();
  for_each_position(shape, [&](int64_t n, int64_t position, int64_t offset) {
    const float *x = all_x + offset, *factor = all_factors + gate.offset(n, position);
    float *y = all_y + offset;
    if (gate.channels == 1) {
      for (int64_t c = 0; c < shape.c; ++c) y[c] = x[c] * factor[0];
    } else {
      for (int64_t c = 0; c < shape.c; ++c) y[c] = x[c] * factor[c];
    }
  });
}

// dgate: sums of dy * x over the elements that share a factor. Of the gate only the shape is used.
KERNEL(ScaleBackwardGate) {
  enum { kDy, kX, kGate, kDgate };
  const Volume shape = args[kX].volume();
  const Gate gate(args[kGate].volume());
  const float *dy = args[kDy].floats(), *x = args[kX].floats();
  float *dgate = args[kDgate].floats();
  if (gate.positions == 1) {
    const Sums sums = sum_groups(shape.n, shape.positions(), shape.c, [&](int64_t) {
      return [=](int64_t i, int64_t, float &sum, float &) { sum += dy[i] * x[i]; };
    });
    std::fill_n(dgate, shape.n * gate.channels, 0.0f);
    for (int64_t k = 0; k < shape.n * shape.c; ++k) {
      dgate[gate.channels == 1 ? k / shape.c : k] += static_cast<float>(sums.first[k]);
    }
    return;
  }
  for_each_position(shape, [&](int64_t n, int64_t position, int64_t offset) {
    float *to = dgate + gate.offset(n, position);
    std::fill_n(to, gate.channels, 0.0f);
    for (int64_t c = 0; c < shape.c; ++c) to[gate.channels == 1 ? 0 : c] += dy[offset + c] * x[offset + c];
  });
}

}  // namespace kidneyseg
