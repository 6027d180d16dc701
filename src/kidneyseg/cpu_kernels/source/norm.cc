// Normalisation and activation in one pass: y = act((z - mean) / deviation * gamma + beta), act(v) = v where v > 0 and
// slope * v elsewhere. One slope per channel makes it the identity (1), ReLU (0), leaky ReLU and PReLU alike.
//
// Batch norm has one group of statistics, over all samples; instance norm one group per sample.
#include <cmath>

#include "channel_sums.h"

namespace {

// Calls job(group, begin, end) over all positions, each range within one group.
template <class Job>
void for_ranges(int64_t groups, int64_t positions, const Job &job) {
  const int64_t shares = std::max<int64_t>(1, std::min(positions / 512, 4 * int64_t(thread_count()) / groups + 1));
  parallel(groups * shares, [&](int64_t task) {
    const int64_t group = task / shares, share = task % shares, start = group * positions;
    job(group, start + share * positions / shares, start + (share + 1) * positions / shares);
  });
}

void find_statistics(const float *z, int64_t groups, int64_t positions, int64_t channels, float epsilon, float *mean,
                     float *scale) {
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
    scale[i] = static_cast<float>(1 / std::sqrt(variance + epsilon));
  }
}

// Normalisation and its affine map as one: v = factor * z + offset, per group and channel.
struct Affine { std::vector<float> factor, offset; };

Affine affine(int64_t groups, int64_t channels, const float *mean, const float *scale, const float *gamma,
              const float *beta) {
  Affine map{std::vector<float>(groups * channels), std::vector<float>(groups * channels)};
  for (int64_t k = 0; k < groups * channels; ++k) {
    map.factor[k] = gamma[k % channels] * scale[k];
    map.offset[k] = beta[k % channels] - mean[k] * map.factor[k];
  }
  return map;
}

void apply(const float *z, int64_t groups, int64_t positions, int64_t channels, const Affine &map, const float *slope,
           float *y) {
  for_ranges(groups, positions, [&](int64_t group, int64_t begin, int64_t end) {
    const float *factor = map.factor.data() + group * channels, *offset = map.offset.data() + group * channels;
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const float v = z[p * channels + c] * factor[c] + offset[c];
        y[p * channels + c] = v > 0 ? v : v * slope[c];
      }
    }
  });
}

void add_groups(const std::vector<double> &sums, int64_t groups, int64_t channels, float *total) {
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t group = 0; group < groups; ++group) sum += sums[group * channels + c];
    total[c] = static_cast<float>(sum);
  }
}

enum Setting { kEpsilon, kShare, kTraining, kLearnSlope };  // the last two: 1 or 0

}  // namespace

// z, gamma, beta, slope, moving mean, moving variance, settings -> y, mean, 1 / deviation, new moving mean, new
// moving variance; statistics per channel. kShare is that of the batch in the moving statistics.
KERNEL(BatchNormForward) {
  const Volume shape = args.volume(0);
  const float *settings = args.floats(6), *old_mean = args.floats(4), *old_variance = args.floats(5);
  const int64_t count = shape.n * shape.positions();
  float *mean = args.floats(8), *scale = args.floats(9), *new_mean = args.floats(10), *new_variance = args.floats(11);
  if (settings[kTraining] != 0) {
    find_statistics(args.floats(0), 1, count, shape.c, settings[kEpsilon], mean, scale);
  }
  for (int64_t c = 0; c < shape.c; ++c) {
    if (settings[kTraining] == 0) {
      mean[c] = old_mean[c];
      scale[c] = 1 / std::sqrt(old_variance[c] + settings[kEpsilon]);
    }
    const float share = settings[kTraining] * settings[kShare];
    const double biased = 1.0 / (double(scale[c]) * scale[c]) - settings[kEpsilon];
    const double unbiased = biased * count / std::max<int64_t>(1, count - 1);
    new_mean[c] = old_mean[c] + share * (mean[c] - old_mean[c]);
    new_variance[c] = old_variance[c] + share * (static_cast<float>(unbiased) - old_variance[c]);
  }
  const Affine map = affine(1, shape.c, mean, scale, args.floats(1), args.floats(2));
  apply(args.floats(0), 1, count, shape.c, map, args.floats(3), args.floats(7));
}

// z, gamma, beta, slope, settings -> y, mean, 1 / deviation; statistics (N, C)
KERNEL(InstanceNormForward) {
  const Volume shape = args.volume(0);
  float *mean = args.floats(6), *scale = args.floats(7);
  find_statistics(args.floats(0), shape.n, shape.positions(), shape.c, args.floats(4)[kEpsilon], mean, scale);
  const Affine map = affine(shape.n, shape.c, mean, scale, args.floats(1), args.floats(2));
  apply(args.floats(0), shape.n, shape.positions(), shape.c, map, args.floats(3), args.floats(5));
}

// z, gamma, beta, slope, mean, 1 / deviation, dy, settings -> dz, dgamma, dbeta, dslope, for either norm.
// Statistics of a batch that is not in training are constants.
KERNEL(NormBackward) {
  const Volume shape = args.volume(0);
  const int64_t channels = shape.c, groups = args.shape(4).size() == 1 ? 1 : shape.n;
  const int64_t positions = shape.n * shape.positions() / groups;
  const float *z = args.floats(0), *slope = args.floats(3), *mean = args.floats(4), *scale = args.floats(5);
  const float *dy = args.floats(6), *settings = args.floats(7);
  const Affine map = affine(groups, channels, mean, scale, args.floats(1), args.floats(2));

  // With g the gradient before the activation: sums of g and of g * (normalised z).
  const Sums sums = sum_groups(groups, positions, channels, [&](int64_t group) {
    const int64_t k = group * channels;
    const float *f = map.factor.data() + k, *o = map.offset.data() + k, *m = mean + k, *s = scale + k;
    return [=](int64_t i, int64_t c, float &sum, float &product) {
      const float g = z[i] * f[c] + o[c] > 0 ? dy[i] : dy[i] * slope[c];
      sum += g;
      product += g * ((z[i] - m[c]) * s[c]);
    };
  });
  add_groups(sums.second, groups, channels, args.floats(9));
  add_groups(sums.first, groups, channels, args.floats(10));
  std::fill_n(args.floats(11), channels, 0.0f);
  if (settings[kLearnSlope] != 0) {
    const Sums below = sum_groups(groups, positions, channels, [&](int64_t group) {
      const float *f = map.factor.data() + group * channels, *o = map.offset.data() + group * channels;
      return [=](int64_t i, int64_t c, float &sum, float &) {
        const float v = z[i] * f[c] + o[c];
        sum += v > 0 ? 0 : dy[i] * v;
      };
    });
    add_groups(below.first, groups, channels, args.floats(11));
  }

  for_ranges(groups, positions, [&](int64_t group, int64_t begin, int64_t end) {
    // dz = factor * g + tilt * z + level: tilt and level take away what a change of mean and deviation gives back
    std::vector<float> tilt(channels), level(channels);
    const float *factor = map.factor.data() + group * channels, *offset = map.offset.data() + group * channels;
    for (int64_t c = 0; settings[kTraining] != 0 && c < channels; ++c) {
      const int64_t k = group * channels + c;
      tilt[c] = static_cast<float>(-factor[c] * sums.second[k] / positions * scale[k]);
      level[c] = static_cast<float>(-factor[c] * sums.first[k] / positions) - tilt[c] * mean[k];
    }
    const float *t = tilt.data(), *l = level.data();
    float *dz = args.floats(8);
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = p * channels + c;
        const float g = z[i] * factor[c] + offset[c] > 0 ? dy[i] : dy[i] * slope[c];
        dz[i] = factor[c] * g + t[c] * z[i] + l[c];
      }
    }
  });
}

// dy -> sum per channel: the gradient of a bias
KERNEL(ChannelSum) {
  const Volume shape = args.volume(0);
  const float *dy = args.floats(0);
  const Sums sums = sum_groups(1, shape.n * shape.positions(), shape.c, [&](int64_t) {
    return [=](int64_t i, int64_t, float &sum, float &) { sum += dy[i]; };
  });
  for (int64_t c = 0; c < shape.c; ++c) args.floats(1)[c] = static_cast<float>(sums.first[c]);
}
