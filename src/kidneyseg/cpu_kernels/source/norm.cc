// Batch and instance norm with the activation after them, in one pass over channels-last activations:
// y = activation((z - mean) / deviation * gamma + beta), with activation(v) = v where v > 0, else slope * v. One slope
// per channel makes it the identity (1), ReLU (0), leaky ReLU or PReLU.
//
// Batch norm has one group of statistics, over all samples; instance norm has one group per sample.
#include <cmath>

#include "channel_sums.h"

namespace kidneyseg {
namespace {

// The settings tensor of all norms (operators.py: norm_settings). kTraining and kLearnSlope are 1 or 0; kMomentum is
// the weight of the batch in the moving statistics.
enum Setting { kEpsilon, kMomentum, kTraining, kLearnSlope };

// Calls job(group, begin, end) for ranges that cover all positions, each within one group, on all threads.
template <class Job>
void for_each_range(int64_t groups, int64_t positions, const Job &job) {
  const int64_t chunks = chunks_per_group(groups, positions);
  parallel_for(groups * chunks, [&](int64_t task) {
    const int64_t group = task / chunks, chunk = task % chunks, start = group * positions;
    job(group, start + chunk * positions / chunks, start + (chunk + 1) * positions / chunks);
  });
}

// Writes mean and inverse deviation, each (groups, channels).
void compute_statistics(const float *z, int64_t groups, int64_t positions, int64_t channels, float epsilon, float *mean,
                        float *inverse_deviation) {
  // Values are taken relative to the group's first voxel: their squares would cancel where the mean is far from 0.
  const Sums sums = sum_groups(groups, positions, channels, [&](int64_t group) {
    const float *shift = z + group * positions * channels;
    return [=](int64_t i, int64_t c, float &sum, float &squares) {
      const float v = z[i] - shift[c];
      sum += v;
      squares += v * v;
    };
  });
  for (int64_t i = 0; i < groups * channels; ++i) {
    const double shifted = sums.first[i] / positions;
    const double variance = std::max(0.0, sums.second[i] / positions - shifted * shifted);
    mean[i] = static_cast<float>(z[i / channels * positions * channels + i % channels] + shifted);
    inverse_deviation[i] = static_cast<float>(1 / std::sqrt(variance + epsilon));
  }
}

// The norm as one affine map per group and channel: v = scale * z + shift, each (groups, channels).
struct Affine { std::vector<float> scale, shift; };

Affine make_affine(int64_t groups, int64_t channels, const float *mean, const float *inverse_deviation,
                   const float *gamma, const float *beta) {
  Affine map{std::vector<float>(groups * channels), std::vector<float>(groups * channels)};
  for (int64_t k = 0; k < groups * channels; ++k) {
    map.scale[k] = gamma[k % channels] * inverse_deviation[k];
    map.shift[k] = beta[k % channels] - mean[k] * map.scale[k];
  }
  return map;
}

void apply(const float *z, int64_t groups, int64_t positions, int64_t channels, const Affine &map, const float *slope,
           float *y) {
  for_each_range(groups, positions, [&](int64_t group, int64_t begin, int64_t end) {
    const float *scale = map.scale.data() + group * channels, *shift = map.shift.data() + group * channels;
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const float v = z[p * channels + c] * scale[c] + shift[c];
        y[p * channels + c] = v > 0 ? v : v * slope[c];
      }
    }
  });
}

// sums (groups, channels) -> total (channels)
void add_groups(const std::vector<double> &sums, int64_t groups, int64_t channels, float *total) {
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t group = 0; group < groups; ++group) sum += sums[group * channels + c];
    total[c] = static_cast<float>(sum);
  }
}

}  // namespace

// Statistics (C,): those of the batch in training, else the moving ones. The variance of the new moving ones is
// unbiased.
KERNEL(BatchNormForward) {
  enum { kZ, kGamma, kBeta, kSlope, kMovingMean, kMovingVariance, kSettings,
         kY, kMean, kInverseDeviation, kNewMovingMean, kNewMovingVariance };
  const Volume shape = args[kZ].volume();
  const int64_t count = shape.n * shape.positions();
  const float *settings = args[kSettings].floats(), *z = args[kZ].floats();
  const float *old_mean = args[kMovingMean].floats(), *old_variance = args[kMovingVariance].floats();
  float *mean = args[kMean].floats(), *inverse_deviation = args[kInverseDeviation].floats();
  float *new_mean = args[kNewMovingMean].floats(), *new_variance = args[kNewMovingVariance].floats();
  if (settings[kTraining] != 0) {
    compute_statistics(z, 1, count, shape.c, settings[kEpsilon], mean, inverse_deviation);
  }
  for (int64_t c = 0; c < shape.c; ++c) {
    if (settings[kTraining] == 0) {
      mean[c] = old_mean[c];
      inverse_deviation[c] = 1 / std::sqrt(old_variance[c] + settings[kEpsilon]);
    }
    const float momentum = settings[kTraining] * settings[kMomentum];
    const double biased = 1.0 / (double(inverse_deviation[c]) * inverse_deviation[c]) - settings[kEpsilon];
    const double unbiased = biased * count / std::max<int64_t>(1, count - 1);
    new_mean[c] = old_mean[c] + momentum * (mean[c] - old_mean[c]);
    new_variance[c] = old_variance[c] + momentum * (static_cast<float>(unbiased) - old_variance[c]);
  }
  const Affine map = make_affine(1, shape.c, mean, inverse_deviation, args[kGamma].floats(), args[kBeta].floats());
  apply(z, 1, count, shape.c, map, args[kSlope].floats(), args[kY].floats());
}

// Statistics (N, C).
KERNEL(InstanceNormForward) {
  enum { kZ, kGamma, kBeta, kSlope, kSettings, kY, kMean, kInverseDeviation };
  const Volume shape = args[kZ].volume();
  const float *z = args[kZ].floats();
  float *mean = args[kMean].floats(), *inverse_deviation = args[kInverseDeviation].floats();
  compute_statistics(z, shape.n, shape.positions(), shape.c, args[kSettings].floats()[kEpsilon], mean,
                     inverse_deviation);
  const Affine map =
      make_affine(shape.n, shape.c, mean, inverse_deviation, args[kGamma].floats(), args[kBeta].floats());
  apply(z, shape.n, shape.positions(), shape.c, map, args[kSlope].floats(), args[kY].floats());
}

// For both norms. Out of training, the statistics of a batch norm are constants.
KERNEL(NormBackward) {
  enum { kZ, kGamma, kBeta, kSlope, kMean, kInverseDeviation, kDy, kSettings, kDz, kDgamma, kDbeta, kDslope };
  const Volume shape = args[kZ].volume();
  const bool batch_norm = args[kMean].axes() == 1;
  const int64_t channels = shape.c, groups = batch_norm ? 1 : shape.n;
  const int64_t positions = shape.n * shape.positions() / groups;
  const float *z = args[kZ].floats(), *dy = args[kDy].floats(), *slope = args[kSlope].floats();
  const float *mean = args[kMean].floats(), *inverse_deviation = args[kInverseDeviation].floats();
  const float *settings = args[kSettings].floats();
  const Affine map =
      make_affine(groups, channels, mean, inverse_deviation, args[kGamma].floats(), args[kBeta].floats());

  // With g the gradient before the activation: sums of g and of g * (normalised z).
  const Sums sums = sum_groups(groups, positions, channels, [&](int64_t group) {
    const int64_t k = group * channels;
    const float *f = map.scale.data() + k, *o = map.shift.data() + k, *m = mean + k, *s = inverse_deviation + k;
    return [=](int64_t i, int64_t c, float &sum, float &product) {
      const float g = z[i] * f[c] + o[c] > 0 ? dy[i] : dy[i] * slope[c];
      sum += g;
      product += g * ((z[i] - m[c]) * s[c]);
    };
  });
  add_groups(sums.second, groups, channels, args[kDgamma].floats());
  add_groups(sums.first, groups, channels, args[kDbeta].floats());
  std::fill_n(args[kDslope].floats(), channels, 0.0f);
  if (settings[kLearnSlope] != 0) {
    const Sums below_zero = sum_groups(groups, positions, channels, [&](int64_t group) {
      const float *f = map.scale.data() + group * channels, *o = map.shift.data() + group * channels;
      return [=](int64_t i, int64_t c, float &sum, float &) {
        const float v = z[i] * f[c] + o[c];
        sum += v > 0 ? 0 : dy[i] * v;
      };
    });
    add_groups(below_zero.first, groups, channels, args[kDslope].floats());
  }

  float *dz = args[kDz].floats();
  for_each_range(groups, positions, [&](int64_t group, int64_t begin, int64_t end) {
    // dz = scale * g + z_factor * z + constant. The last two terms are the gradient through mean and deviation.
    std::vector<float> z_factors(channels), constants(channels);
    const float *scale = map.scale.data() + group * channels, *shift = map.shift.data() + group * channels;
    for (int64_t c = 0; settings[kTraining] != 0 && c < channels; ++c) {
      const int64_t k = group * channels + c;
      z_factors[c] = static_cast<float>(-scale[c] * sums.second[k] / positions * inverse_deviation[k]);
      constants[c] = static_cast<float>(-scale[c] * sums.first[k] / positions) - z_factors[c] * mean[k];
    }
    const float *z_factor = z_factors.data(), *constant = constants.data();
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = p * channels + c;
        const float g = z[i] * scale[c] + shift[c] > 0 ? dy[i] : dy[i] * slope[c];
        dz[i] = scale[c] * g + z_factor[c] * z[i] + constant[c];
      }
    }
  });
}

}  // namespace kidneyseg
