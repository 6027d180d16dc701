// Winograd's minimal filtering (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016).
//
// M outputs of a kernel of 3 along an axis are coefficients of the product of two polynomials, and M + 2 of its values
// tell them: the inputs' values times the weights' values, M + 2 products for M outputs where taps need 3 M. Axes nest:
// a tile of 4 x 4 outputs takes 36 products instead of 144, one of 4 x 4 x 4 takes 216 instead of 1728. Over channels
// each of these points is a product of matrices.
//
// For 2 outputs the values are taken at 0, +-1 and infinity, for 4 at 0, +-5/8, +-3/2 and infinity: against the usual
// +-1 and +-2 those halve the rounding error (standard normal values, 64 channels: 8e-7 of the result's deviation for
// 4 x 4 outputs, 1.3e-6 for 4 x 4 x 4, 2e-5 at the worst voxel), and all constants below but the shares of the weights
// are exact in binary.
#pragma once
#include <algorithm>

#include "vector.h"
#include "winograd.h"

// Between values along an axis and values at its points: in place, `step` vectors apart. `inputs`, `weights` and
// `outputs` are the three transforms; `output_gradients` and `weight_gradients` their transposes.
template <int M>
struct Axis;

template <>
struct Axis<1> {  // a kernel of 1
  static constexpr int points = 1, taps = 1;
  static void inputs(Vector *, int) {}
  static void weights(Vector *, int) {}
  static void outputs(Vector *, int) {}
  static void output_gradients(Vector *, int) {}
  static void weight_gradients(Vector *, int) {}
};

template <>
struct Axis<2> {
  static constexpr int points = 4, taps = 3;
  static void inputs(Vector *v, int step) {
    const Vector x0 = v[0], x1 = v[step], x2 = v[2 * step], x3 = v[3 * step];
    v[0] = x0 - x2, v[step] = x1 + x2, v[2 * step] = x2 - x1, v[3 * step] = x3 - x1;
  }
  static void weights(Vector *v, int step) {
    const Vector even = 0.5f * (v[0] + v[2 * step]), odd = 0.5f * v[step];
    v[3 * step] = v[2 * step], v[step] = even + odd, v[2 * step] = even - odd;
  }
  static void weight_gradients(Vector *v, int step) {
    const Vector even = 0.5f * (v[step] + v[2 * step]), odd = 0.5f * (v[step] - v[2 * step]);
    v[0] += even, v[step] = odd, v[2 * step] = even + v[3 * step];
  }
  static void outputs(Vector *v, int step) {
    v[0] += v[step] + v[2 * step];
    v[step] += v[3 * step] - v[2 * step];
  }
  static void output_gradients(Vector *v, int step) {
    const Vector y0 = v[0], y1 = v[step];
    v[step] = y0 + y1, v[2 * step] = y0 - y1, v[3 * step] = y1;
  }
};

template <>
struct Axis<4> {
  static constexpr int points = 6, taps = 3;
  static constexpr float a = 0.625f, b = 1.5f, aa = a * a, bb = b * b;
  static constexpr float share_0 = 1 / (aa * bb);
  static constexpr float share_a = 1 / (2 * aa * (aa - bb)), share_b = 1 / (2 * bb * (bb - aa));
  static void inputs(Vector *v, int step) {
    const Vector x0 = v[0], x1 = v[step], x2 = v[2 * step], x3 = v[3 * step], x4 = v[4 * step], x5 = v[5 * step];
    const Vector even_a = x4 - bb * x2, odd_a = a * (x3 - bb * x1), even_b = x4 - aa * x2, odd_b = b * (x3 - aa * x1);
    v[0] = x4 - (aa + bb) * x2 + aa * bb * x0;
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = x5 - (aa + bb) * x3 + aa * bb * x1;
  }
  static void weights(Vector *v, int step) {
    const Vector w0 = v[0], w1 = v[step], w2 = v[2 * step];
    const Vector even_a = share_a * (w0 + aa * w2), odd_a = share_a * a * w1;
    const Vector even_b = share_b * (w0 + bb * w2), odd_b = share_b * b * w1;
    v[0] = share_0 * w0;
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = w2;
  }
  static void weight_gradients(Vector *v, int step) {
    const Vector even_a = share_a * (v[step] + v[2 * step]), odd_a = share_a * a * (v[step] - v[2 * step]);
    const Vector even_b = share_b * (v[3 * step] + v[4 * step]), odd_b = share_b * b * (v[3 * step] - v[4 * step]);
    v[0] = share_0 * v[0] + even_a + even_b;
    v[step] = odd_a + odd_b;
    v[2 * step] = aa * even_a + bb * even_b + v[5 * step];
  }
  static void outputs(Vector *v, int step) {
    const Vector even_a = v[step] + v[2 * step], odd_a = a * (v[step] - v[2 * step]);
    const Vector even_b = v[3 * step] + v[4 * step], odd_b = b * (v[3 * step] - v[4 * step]);
    v[0] += even_a + even_b;
    v[step] = odd_a + odd_b;
    v[2 * step] = aa * even_a + bb * even_b;
    v[3 * step] = aa * odd_a + bb * odd_b + v[5 * step];
  }
  static void output_gradients(Vector *v, int step) {
    const Vector y0 = v[0], y1 = v[step], y2 = v[2 * step], y3 = v[3 * step];
    const Vector even_a = y0 + aa * y2, odd_a = a * (y1 + aa * y3), even_b = y0 + bb * y2, odd_b = b * (y1 + bb * y3);
    v[step] = even_a + odd_a, v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b, v[4 * step] = even_b - odd_b;
    v[5 * step] = y3;
  }
};

// A convolution's output cut into tiles, MD voxels along the depth and M along the other two axes.
template <int MD, int M>
struct Tiles {
  using Depth = Axis<MD>;
  using Plane = Axis<M>;
  static constexpr int PD = Depth::points, P = Plane::points, points = PD * P * P;
  static constexpr int taps = Depth::taps * Plane::taps * Plane::taps;

  // The values, or values at the points, of one tile and kLanes channels.
  struct Values {
    Vector at[PD][P][P];
    Vector &operator[](int point) { return (&at[0][0][0])[point]; }
  };

  Volume from, to;
  int64_t pad_d, pad_h, pad_w;
  int64_t count_d, count_h, count_w, count;

  Tiles(const Volume &x, const Volume &y, const Shape &padding)
      : from(x), to(y), pad_d(padding.size() == 3 ? padding[0] : 0), pad_h(padding[padding.size() - 2]),
        pad_w(padding[padding.size() - 1]), count_d(blocks(to.d, MD)), count_h(blocks(to.h, M)),
        count_w(blocks(to.w, M)), count(to.n * count_d * count_h * count_w) {}

  // What a tile looks at, channels [c, c + kLanes) of x, at the points.
  void inputs(const float *x, int64_t tile, int64_t c, Values &v) const {
    const Place place = at(tile);
    const int64_t d0 = place.d - pad_d, h0 = place.h - pad_h, w0 = place.w - pad_w, channels = from.c - c;
    const bool inner = w0 >= 0 && w0 + P <= from.w && channels >= kLanes;
    for (int d = 0; d < PD; ++d) {
      for (int h = 0; h < P; ++h) {
        Vector *line = v.at[d][h];
        const bool inside = d0 + d >= 0 && d0 + d < from.d && h0 + h >= 0 && h0 + h < from.h;
        const float *row = x + (((place.n * from.d + d0 + d) * from.h + h0 + h) * from.w + w0) * from.c + c;
        if (inside && inner) {
          for (int w = 0; w < P; ++w) line[w] = load_ahead(row + w * from.c);
        } else {
          for (int w = 0; w < P; ++w) {
            line[w] = inside && w0 + w >= 0 && w0 + w < from.w ? load(row + w * from.c, channels) : Vector{};
          }
        }
        Plane::inputs(line, 1);
      }
      for (int w = 0; w < P; ++w) Plane::inputs(&v.at[d][0][w], P);
    }
    for (int i = 0; i < P * P; ++i) Depth::inputs(&v[i], P * P);
  }

  // Values at the points -> channels [c, c + kLanes) of a tile of y.
  void outputs(Values &v, Vector bias, int64_t tile, int64_t c, float *y) const {
    const Place place = at(tile);
    const int64_t end_d = std::min<int64_t>(MD, to.d - place.d), end_h = std::min<int64_t>(M, to.h - place.h);
    const int64_t end_w = std::min<int64_t>(M, to.w - place.w);
    for (int i = 0; i < P * P; ++i) Depth::outputs(&v[i], P * P);
    for (int d = 0; d < end_d; ++d) {
      for (int w = 0; w < P; ++w) Plane::outputs(&v.at[d][0][w], P);
      for (int h = 0; h < end_h; ++h) {
        Vector *line = v.at[d][h];
        Plane::outputs(line, 1);
        float *row = y + offset(place, d, h) + c;
        for (int w = 0; w < end_w; ++w) store(row + w * to.c, line[w] + bias, to.c - c);
      }
    }
  }

  // The gradient of a tile of y, channels [c, c + kLanes), -> gradients of the products at the points.
  void output_gradients(const float *dy, int64_t tile, int64_t c, Values &v) const {
    const Place place = at(tile);
    v = {};
    for (int d = 0; d < std::min<int64_t>(MD, to.d - place.d); ++d) {
      for (int h = 0; h < std::min<int64_t>(M, to.h - place.h); ++h) {
        const float *row = dy + offset(place, d, h) + c;
        for (int w = 0; w < std::min<int64_t>(M, to.w - place.w); ++w) v.at[d][h][w] = load(row + w * to.c, to.c - c);
        Plane::output_gradients(v.at[d][h], 1);
      }
      for (int w = 0; w < P; ++w) Plane::output_gradients(&v.at[d][0][w], P);
    }
    for (int i = 0; i < P * P; ++i) Depth::output_gradients(&v[i], P * P);
  }

 private:
  struct Place { int64_t n, d, h, w; };  // of a tile's first output
  Place at(int64_t tile) const {
    const int64_t w = tile % count_w, row = tile / count_w, h = row % count_h, slab = row / count_h;
    return {slab / count_d, slab % count_d * MD, h * M, w * M};
  }
  int64_t offset(const Place &place, int d, int h) const {  // of the first voxel in a line of a tile of y
    return (((place.n * to.d + place.d + d) * to.h + place.h + h) * to.w + place.w) * to.c;
  }
};
