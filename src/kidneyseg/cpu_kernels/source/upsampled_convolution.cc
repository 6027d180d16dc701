// The second half of a 3 x 3 convolution of linearly up-sampled features. Up-sampling and the products with the weights
// commute: the products are taken first, at the low resolution, where they are factor^2 times fewer, by a 1 x 1
// convolution with one output per tap of the kernel and channel. What is left is here: to up-sample the nine tensors
// and to add them, each moved to where its tap looks, with zeros beyond the edges.
//
// z (N, 9 C, h, w), tap (ky, kx) in channels [(3 ky + kx) C, ...), -> y (N, C, H, W)
#include <algorithm>
#include <vector>

#include "epilogue.h"
#include "interpolation.h"

namespace {

constexpr int kTaps = 3;
constexpr int64_t kBand = 32;  // output rows at a time: what they need of the rows below fits into the cache

// What y[i] takes of an axis of z by tap k: up-sampled z at i + k - 1.
struct Axis {
  std::vector<Weight> weights[kTaps];
  std::vector<std::vector<std::pair<int64_t, float>>> sources[kTaps];  // of each of z: the y[i] that take it

  Axis(int64_t in, int64_t out) {
    for (int k = 0; k < kTaps; ++k) {
      sources[k].resize(in);
      for (int64_t i = 0; i < out; ++i) {
        const int64_t at = i + k - 1;
        const bool inside = at >= 0 && at < out;
        const Weight w = inside ? linear(in, out, at) : Weight{0, 0, 0, 0};
        weights[k].push_back(w);
        if (w.low_share != 0) sources[k][w.low].emplace_back(i, w.low_share);
        if (w.high_share != 0) sources[k][w.high].emplace_back(i, w.high_share);
      }
    }
  }
};

}  // namespace

// z, [constants] -> y, whose shape says how far to go, finished (epilogue.h)
KERNEL(TapsForward) {
  const int result = args.count() - 1;
  const Volume from = args.volume(0), to = args.volume(result);
  const Finish finish = result > 1 ? Finish(args.floats(1), args.shape(1)) : Finish();
  const int64_t channels = to.c, row = to.w * channels;
  const Axis down(from.h, to.h), along(from.w, to.w);
  const int64_t bands = (to.h + kBand - 1) / kBand;
  parallel(to.n * bands, [&](int64_t task) {
    const int64_t n = task / bands, begin = task % bands * kBand, end = std::min(to.h, begin + kBand);
    // Rows of z that the band looks at, stretched along x and added up over kx: (rows, 3, W, C).
    const int64_t first = linear(from.h, to.h, std::max<int64_t>(0, begin - 1)).low;
    const int64_t last = linear(from.h, to.h, std::min(to.h - 1, end)).high;
    std::vector<float> rows((last - first + 1) * kTaps * row);
    for (int64_t y = first; y <= last; ++y) {
      const float *z = args.floats(0) + (n * from.h + y) * from.w * from.c;
      for (int ky = 0; ky < kTaps; ++ky) {
        float *out = rows.data() + ((y - first) * kTaps + ky) * row;
        for (int64_t x = 0; x < to.w; ++x, out += channels) {
          const float *low[kTaps], *high[kTaps];
          float low_share[kTaps], high_share[kTaps];
          for (int kx = 0; kx < kTaps; ++kx) {
            const Weight &w = along.weights[kx][x];
            const int64_t tap = (kTaps * ky + kx) * channels;
            low[kx] = z + w.low * from.c + tap, high[kx] = z + w.high * from.c + tap;
            low_share[kx] = w.low_share, high_share[kx] = w.high_share;
          }
          for (int64_t c = 0; c < channels; ++c) {
            out[c] = low_share[0] * low[0][c] + high_share[0] * high[0][c] + low_share[1] * low[1][c] +
                     high_share[1] * high[1][c] + low_share[2] * low[2][c] + high_share[2] * high[2][c];
          }
        }
      }
    }
    for (int64_t y = begin; y < end; ++y) {
      float *out = args.floats(result) + (n * to.h + y) * row;
      std::fill_n(out, row, 0.0f);
      for (int ky = 0; ky < kTaps; ++ky) {
        const Weight &w = down.weights[ky][y];
        if (w.low_share == 0 && w.high_share == 0) continue;  // beyond the edge
        const float *low = rows.data() + ((w.low - first) * kTaps + ky) * row;
        const float *high = rows.data() + ((w.high - first) * kTaps + ky) * row;
        for (int64_t i = 0; i < row; ++i) out[i] += w.low_share * low[i] + w.high_share * high[i];
      }
      finish.apply(out, 0, to.w, channels);
    }
  });
}

// dy -> dz
KERNEL(TapsBackward) {
  const Volume from = args.volume(0), to = args.volume(1);
  const int64_t channels = from.c, row = from.w * channels;
  const Axis down(to.h, from.h), along(to.w, from.w);
  parallel(to.n * to.h, [&](int64_t task) {
    const int64_t n = task / to.h, y = task % to.h;
    std::vector<float> sum(row);
    for (int ky = 0; ky < kTaps; ++ky) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (const auto &[source, share] : down.sources[ky][y]) {
        const float *dy = args.floats(0) + (n * from.h + source) * row;
        for (int64_t i = 0; i < row; ++i) sum[i] += share * dy[i];
      }
      for (int64_t x = 0; x < to.w; ++x) {
        float *dz = args.floats(1) + ((n * to.h + y) * to.w + x) * to.c + kTaps * ky * channels;
        std::fill_n(dz, kTaps * channels, 0.0f);
        for (int kx = 0; kx < kTaps; ++kx, dz += channels) {
          for (const auto &[source, share] : along.sources[kx][x]) {
            const float *value = sum.data() + source * channels;
            for (int64_t c = 0; c < channels; ++c) dz[c] += share * value[c];
          }
        }
      }
    }
  });
}
