// Winograd's minimal filtering, one axis at a time (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// CVPR 2016).
//
// M outputs of a kernel of T taps along an axis are coefficients of the product of two polynomials, which M + T - 1 of
// its values determine: the values of the inputs times those of the filter. A kernel of 3 takes M + 2 products for M
// outputs instead of 3 M. Axes nest: a tile of 4 x 4 outputs takes 36 products instead of 144, one of 4 x 4 x 4 takes
// 216 instead of 1728. Over all channels, there is a matrix product at each of the points where values are taken.
//
// Four points are 0, +-1 and infinity; six are 0, +-5/8, +-3/2 and infinity: against the usual +-1 and +-2 those halve
// the rounding error (standard normal values, 64 channels: 8e-7 of the result's deviation for 4 x 4 outputs, 1.3e-6 for
// 4 x 4 x 4, 2e-5 at the worst voxel), and all constants below but the factors of the filter are exact in binary.
#pragma once
#include "simd.h"

namespace kidneyseg {

// The transforms of one axis, in place, on vectors that are `step` apart. `input` and `filter` go from voxels and taps
// to the points, `output` from the points to voxels; `output_gradient` and `filter_gradient` are the transposes of
// `output` and `filter`. `length`: outputs of a tile.
template <int POINTS, int TAPS>
struct Transform;

template <int TAPS>
struct Transform<1, TAPS> {  // a kernel of length 1 along this axis
  static constexpr int points = 1, taps = 1, length = 1;
  static void input(Vector *, int) {}
  static void filter(Vector *, int) {}
  static void output(Vector *, int) {}
  static void output_gradient(Vector *, int) {}
  static void filter_gradient(Vector *, int) {}
};

struct FourPoints {
  static constexpr int points = 4;
  static void input(Vector *v, int step) {
    const Vector x0 = v[0], x1 = v[step], x2 = v[2 * step], x3 = v[3 * step];
    v[0] = x0 - x2, v[step] = x1 + x2, v[2 * step] = x2 - x1, v[3 * step] = x3 - x1;
  }
};

template <>
struct Transform<4, 3> : FourPoints {
  static constexpr int taps = 3, length = 2;
  static void filter(Vector *v, int step) {
    const Vector even = 0.5f * (v[0] + v[2 * step]), odd = 0.5f * v[step];
    v[3 * step] = v[2 * step], v[step] = even + odd, v[2 * step] = even - odd;
  }
  static void filter_gradient(Vector *v, int step) {
    const Vector even = 0.5f * (v[step] + v[2 * step]), odd = 0.5f * (v[step] - v[2 * step]);
    v[0] += even, v[step] = odd, v[2 * step] = even + v[3 * step];
  }
  static void output(Vector *v, int step) {
    v[0] += v[step] + v[2 * step];
    v[step] += v[3 * step] - v[2 * step];
  }
  static void output_gradient(Vector *v, int step) {
    const Vector y0 = v[0], y1 = v[step];
    v[step] = y0 + y1, v[2 * step] = y0 - y1, v[3 * step] = y1;
  }
};

template <>
struct Transform<4, 2> : FourPoints {
  static constexpr int taps = 2, length = 3;
  static void filter(Vector *v, int step) {
    const Vector even = 0.5f * v[0], odd = 0.5f * v[step];
    v[3 * step] = v[step], v[step] = even + odd, v[2 * step] = even - odd;
  }
  static void output(Vector *v, int step) {
    const Vector even = v[step] + v[2 * step];
    v[0] += even, v[step] -= v[2 * step], v[2 * step] = even + v[3 * step];
  }
};

template <int LENGTH>
struct SixPoints {
  static constexpr int points = 6, length = LENGTH;
  static constexpr float a = 0.625f, b = 1.5f, aa = a * a, bb = b * b;
  static constexpr float factor_0 = 1 / (aa * bb);
  static constexpr float factor_a = 1 / (2 * aa * (aa - bb)), factor_b = 1 / (2 * bb * (bb - aa));
  static void input(Vector *v, int step) {
    const Vector x0 = v[0], x1 = v[step], x2 = v[2 * step], x3 = v[3 * step], x4 = v[4 * step], x5 = v[5 * step];
    const Vector even_a = x4 - bb * x2, odd_a = a * (x3 - bb * x1), even_b = x4 - aa * x2, odd_b = b * (x3 - aa * x1);
    v[0] = x4 - (aa + bb) * x2 + aa * bb * x0;
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = x5 - (aa + bb) * x3 + aa * bb * x1;
  }
  static void output(Vector *v, int step) {
    const Vector even_a = v[step] + v[2 * step], odd_a = a * (v[step] - v[2 * step]);
    const Vector even_b = v[3 * step] + v[4 * step], odd_b = b * (v[3 * step] - v[4 * step]);
    v[0] += even_a + even_b;
    v[step] = odd_a + odd_b;
    v[2 * step] = aa * even_a + bb * even_b;
    v[3 * step] = aa * odd_a + bb * odd_b;
    if (length == 5) v[4 * step] = aa * aa * even_a + bb * bb * even_b;
    v[(length - 1) * step] += v[5 * step];
  }
};

template <>
struct Transform<6, 3> : SixPoints<4> {
  static constexpr int taps = 3;
  static void filter(Vector *v, int step) {
    const Vector w0 = v[0], w1 = v[step], w2 = v[2 * step];
    const Vector even_a = factor_a * (w0 + aa * w2), odd_a = factor_a * a * w1;
    const Vector even_b = factor_b * (w0 + bb * w2), odd_b = factor_b * b * w1;
    v[0] = factor_0 * w0;
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = w2;
  }
  static void filter_gradient(Vector *v, int step) {
    const Vector even_a = factor_a * (v[step] + v[2 * step]), odd_a = factor_a * a * (v[step] - v[2 * step]);
    const Vector even_b = factor_b * (v[3 * step] + v[4 * step]), odd_b = factor_b * b * (v[3 * step] - v[4 * step]);
    v[0] = factor_0 * v[0] + even_a + even_b;
    v[step] = odd_a + odd_b;
    v[2 * step] = aa * even_a + bb * even_b + v[5 * step];
  }
  static void output_gradient(Vector *v, int step) {
    const Vector y0 = v[0], y1 = v[step], y2 = v[2 * step], y3 = v[3 * step];
    const Vector even_a = y0 + aa * y2, odd_a = a * (y1 + aa * y3), even_b = y0 + bb * y2, odd_b = b * (y1 + bb * y3);
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = y3;
  }
};

template <>
struct Transform<6, 2> : SixPoints<5> {
  static constexpr int taps = 2;
  static void filter(Vector *v, int step) {
    const Vector w0 = v[0], w1 = v[step];
    v[0] = factor_0 * w0;
    v[step] = factor_a * (w0 + a * w1), v[2 * step] = factor_a * (w0 - a * w1);
    v[3 * step] = factor_b * (w0 + b * w1), v[4 * step] = factor_b * (w0 - b * w1);
    v[5 * step] = w1;
  }
};

}  // namespace kidneyseg
