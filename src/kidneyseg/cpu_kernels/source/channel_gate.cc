// Means over space, and products with a gate: one factor per channel or one per position. Channels-last.
#include "channel_sums.h"

namespace {

// How a gate (N, C, 1...), (N, 1, *S) or (N, C, *S) lies under the tensor it multiplies.
struct Gate {
  int64_t positions, channels;
  explicit Gate(const Volume &shape) : positions(shape.positions()), channels(shape.c) {}
  int64_t offset(int64_t n, int64_t position) const {
    return (n * positions + (positions == 1 ? 0 : position)) * channels;
  }
};

// Calls job(sample, position within it, offset of its channels) for all positions, spread over the pool.
template <class Job>
void for_positions(const Volume &shape, const Job &job) {
  const int64_t positions = shape.positions();
  parallel_ranges(shape.n * positions, 512, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) job(p / positions, p % positions, p * shape.c);
  });
}

}  // namespace

// x (N, C, *S) -> its means (N, C, 1...)
KERNEL(SpatialMeanForward) {
  const Volume shape = args.volume(0);
  const float *x = args.floats(0);
  const Sums sums = sum_groups(shape.n, shape.positions(), shape.c, [&](int64_t) {
    return [=](int64_t i, int64_t, float &sum, float &) { sum += x[i]; };
  });
  for (int64_t k = 0; k < shape.n * shape.c; ++k) {
    args.floats(1)[k] = static_cast<float>(sums.first[k] / shape.positions());
  }
}

// x (N, C, 1...), like (for the output's shape) -> x at every position
KERNEL(BroadcastForward) {
  const Volume shape = args.volume(2);
  for_positions(shape, [&](int64_t n, int64_t, int64_t offset) {
    std::copy_n(args.floats(0) + n * shape.c, shape.c, args.floats(2) + offset);
  });
}

// x, gate -> x * gate
KERNEL(ScaleForward) {
  const Volume shape = args.volume(0);
  const Gate gate(args.volume(1));
  for_positions(shape, [&](int64_t n, int64_t position, int64_t offset) {
    const float *x = args.floats(0) + offset, *factor = args.floats(1) + gate.offset(n, position);
    float *y = args.floats(2) + offset;
    if (gate.channels == 1) {
      for (int64_t c = 0; c < shape.c; ++c) y[c] = x[c] * factor[0];
    } else {
      for (int64_t c = 0; c < shape.c; ++c) y[c] = x[c] * factor[c];
    }
  });
}

// dy, x, gate -> dgate, which sums dy * x over what the gate's factors share
KERNEL(ScaleGate) {
  const Volume shape = args.volume(1);
  const Gate gate(args.volume(2));
  const float *dy = args.floats(0), *x = args.floats(1);
  float *dgate = args.floats(3);
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
  for_positions(shape, [&](int64_t n, int64_t position, int64_t offset) {
    float *to = dgate + gate.offset(n, position);
    std::fill_n(to, gate.channels, 0.0f);
    for (int64_t c = 0; c < shape.c; ++c) to[gate.channels == 1 ? 0 : c] += dy[offset + c] * x[offset + c];
  });
}
