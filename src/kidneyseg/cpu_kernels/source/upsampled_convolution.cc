// The second half of a 3 x 3 convolution of linearly up-sampled features.
//
// Up-sampling and the products with the weights commute: a 1 x 1 convolution with one output per tap of the kernel and
// channel takes the products first, at the low resolution, where they are factor^2 times fewer. The kernels here
// up-sample its nine tensors and add them, each shifted by its tap's offset, with zeros beyond the edges.
//
// z (N, 9 C, h, w), tap (ky, kx) in channels [(3 ky + kx) C, ...), -> y (N, C, H, W), both channels-last. How far to
// up-sample follows from the shapes.
#include <algorithm>
#include <vector>

#include "epilogue.h"
#include "interpolation.h"

namespace kidneyseg {
namespace {

constexpr int kTaps = 3;
constexpr int64_t kBandRows = 32;  // rows of y at a time: what they need of z fits into the cache

// The interpolation along one axis, by tap: y[i] takes the up-sampled z at i + tap - 1.
struct Axis {
  std::vector<Coefficients> coefficients[kTaps];  // of each y[i]
  // The transpose: which y[i] each z[i] is in, and its weight there.
  std::vector<std::vector<std::pair<int64_t, float>>> sources[kTaps];

  Axis(int64_t in, int64_t out) {
    for (int tap = 0; tap < kTaps; ++tap) {
      sources[tap].resize(in);
      for (int64_t i = 0; i < out; ++i) {
        const int64_t at = i + tap - 1;
        const bool inside = at >= 0 && at < out;
        const Coefficients k = inside ? linear(in, out, at) : Coefficients{0, 0, 0, 0};
        coefficients[tap].push_back(k);
        if (k.low_weight != 0) sources[tap][k.low].emplace_back(i, k.low_weight);
        if (k.high_weight != 0) sources[tap][k.high].emplace_back(i, k.high_weight);
      }
    }
  }
};

// One row of z (w, 9 C), its taps (ky, kx) of one ky -> interpolated along x and summed over kx: out (W, C).
void interpolate_row(const float *z, const Volume &from, const Volume &to, const Axis &axis, int ky, float *out) {
  const int64_t channels = to.c;
  for (int64_t x = 0; x < to.w; ++x, out += channels) {
    const float *low[kTaps], *high[kTaps];
    float low_weight[kTaps], high_weight[kTaps];
    for (int kx = 0; kx < kTaps; ++kx) {
      const Coefficients &k = axis.coefficients[kx][x];
      const int64_t tap = (kTaps * ky + kx) * channels;
      low[kx] = z + k.low * from.c + tap, high[kx] = z + k.high * from.c + tap;
      low_weight[kx] = k.low_weight, high_weight[kx] = k.high_weight;
    }
    for (int64_t c = 0; c < channels; ++c) {
      out[c] = low_weight[0] * low[0][c] + high_weight[0] * high[0][c] + low_weight[1] * low[1][c] +
               high_weight[1] * high[1][c] + low_weight[2] * low[2][c] + high_weight[2] * high[2][c];
    }
  }
}

void upsample_and_add(const Tensor &z, const Tensor &y, const Epilogue &epilogue) {
  const Volume from = z.volume(), to = y.volume();
  const int64_t row_size = to.w * to.c;
  const Axis vertical(from.h, to.h), horizontal(from.w, to.w);
  const int64_t bands = (to.h + kBandRows - 1) / kBandRows;
  parallel_for(to.n * bands, [&](int64_t task) {
    const int64_t n = task / bands, begin = task % bands * kBandRows, end = std::min(to.h, begin + kBandRows);
    // The rows of z that the band depends on, interpolated along x: (rows, ky, W, C).
    const int64_t first = linear(from.h, to.h, std::max<int64_t>(0, begin - 1)).low;
    const int64_t last = linear(from.h, to.h, std::min(to.h - 1, end)).high;
    std::vector<float> rows((last - first + 1) * kTaps * row_size);
    for (int64_t i = first; i <= last; ++i) {
      const float *row = z.floats() + (n * from.h + i) * from.w * from.c;
      for (int ky = 0; ky < kTaps; ++ky) {
        interpolate_row(row, from, to, horizontal, ky, rows.data() + ((i - first) * kTaps + ky) * row_size);
      }
    }
    for (int64_t i = begin; i < end; ++i) {
      float *out = y.floats() + (n * to.h + i) * row_size;
      std::fill_n(out, row_size, 0.0f);
      for (int ky = 0; ky < kTaps; ++ky) {
        const Coefficients &k = vertical.coefficients[ky][i];
        if (k.low_weight == 0 && k.high_weight == 0) continue;  // beyond the edge
        const float *low = rows.data() + ((k.low - first) * kTaps + ky) * row_size;
        const float *high = rows.data() + ((k.high - first) * kTaps + ky) * row_size;
        for (int64_t j = 0; j < row_size; ++j) out[j] += k.low_weight * low[j] + k.high_weight * high[j];
      }
      epilogue.apply(out, 0, to.w, to.c);
    }
  });
}

}  // namespace

KERNEL(UpsampledConvolutionForward) {
  enum { kZ, kY };
  upsample_and_add(args[kZ], args[kY], Epilogue());
}

// epilogue (3, C): see epilogue.h
KERNEL(UpsampledConvolutionEpilogueForward) {
  enum { kZ, kEpilogue, kY };
  upsample_and_add(args[kZ], args[kY], Epilogue::with_constants(args[kEpilogue]));
}

KERNEL(UpsampledConvolutionBackward) {
  enum { kDy, kDz };
  const Volume from = args[kDy].volume(), to = args[kDz].volume();
  const float *all_dy = args[kDy].floats();
  float *all_dz = args[kDz].floats();
  const int64_t channels = from.c, row_size = from.w * channels;
  const Axis vertical(to.h, from.h), horizontal(to.w, from.w);
  parallel_for(to.n * to.h, [&](int64_t task) {
    const int64_t n = task / to.h, y = task % to.h;
    std::vector<float> sum(row_size);
    for (int ky = 0; ky < kTaps; ++ky) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (const auto &[source, weight] : vertical.sources[ky][y]) {
        const float *dy = all_dy + (n * from.h + source) * row_size;
        for (int64_t i = 0; i < row_size; ++i) sum[i] += weight * dy[i];
      }
      for (int64_t x = 0; x < to.w; ++x) {
        float *dz = all_dz + ((n * to.h + y) * to.w + x) * to.c + kTaps * ky * channels;
        std::fill_n(dz, kTaps * channels, 0.0f);
        for (int kx = 0; kx < kTaps; ++kx, dz += channels) {
          for (const auto &[source, weight] : horizontal.sources[kx][x]) {
            const float *value = sum.data() + source * channels;
            for (int64_t c = 0; c < channels; ++c) dz[c] += weight * value[c];
          }
        }
      }
    }
  });
}

}  // namespace kidneyseg
