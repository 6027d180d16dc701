// The output of a convolution cut into tiles, and the transforms between a tile and its values at the points
// (winograd_transform.h).
#pragma once
#include <algorithm>

#include "kernel.h"
#include "winograd_transform.h"

namespace kidneyseg {

// POINTS_DEEP points along the depth and POINTS along height and width, for kernels of TAPS (1 along the depth where
// POINTS_DEEP is 1).
template <int POINTS_DEEP, int POINTS, int TAPS>
struct Tiling {
  using Depth = Transform<POINTS_DEEP, TAPS>;
  using Plane = Transform<POINTS, TAPS>;
  static constexpr int PD = POINTS_DEEP, P = POINTS, points = PD * P * P;
  static constexpr int MD = Depth::length, M = Plane::length;  // a tile has MD x M x M outputs
  static constexpr int taps = Depth::taps * TAPS * TAPS;

  // One tile and kLanes channels: voxels, taps, or values at the points.
  struct Values {
    Vector at[PD][P][P];
    Vector &operator[](int point) { return (&at[0][0][0])[point]; }
    Vector &tap(int i) { return at[i / (TAPS * TAPS)][i / TAPS % TAPS][i % TAPS]; }
  };

  Volume x, y;
  int64_t pad_d, pad_h, pad_w;
  int64_t count_d, count_h, count_w, count;  // of tiles; `count` is that of all

  Tiling(const Volume &x_shape, const Volume &y_shape, const Shape &padding)
      : x(x_shape), y(y_shape), pad_d(padding.size() == 3 ? padding[0] : 0), pad_h(padding[padding.size() - 2]),
        pad_w(padding[padding.size() - 1]), count_d(divide_up(y.d, MD)), count_h(divide_up(y.h, M)),
        count_w(divide_up(y.w, M)), count(y.n * count_d * count_h * count_w) {}

  // The voxels of x that a tile depends on, channels [c, c + kLanes), -> values at the points.
  void transform_input(const float *input, int64_t tile, int64_t c, Values &v) const {
    const Position first = position(tile);
    const int64_t d0 = first.d - pad_d, h0 = first.h - pad_h, w0 = first.w - pad_w, channels = x.c - c;
    const bool full = w0 >= 0 && w0 + P <= x.w && channels >= kLanes;  // no padding along the width, all lanes
    for (int d = 0; d < PD; ++d) {
      for (int h = 0; h < P; ++h) {
        Vector *line = v.at[d][h];
        const bool inside = d0 + d >= 0 && d0 + d < x.d && h0 + h >= 0 && h0 + h < x.h;
        const float *from = input + (((first.n * x.d + d0 + d) * x.h + h0 + h) * x.w + w0) * x.c + c;
        if (inside && full) {
          for (int w = 0; w < P; ++w) line[w] = load_and_prefetch(from + w * x.c);
        } else {
          for (int w = 0; w < P; ++w) {
            line[w] = inside && w0 + w >= 0 && w0 + w < x.w ? load(from + w * x.c, channels) : Vector{};
          }
        }
        Plane::input(line, 1);
      }
      for (int w = 0; w < P; ++w) Plane::input(&v.at[d][0][w], P);
    }
    for (int i = 0; i < P * P; ++i) Depth::input(&v[i], P * P);
  }

  // Values at the points -> outputs of a tile. Calls use(n, d, h, w, vectors, count) for each line along the width: the
  // position of its first voxel, and its voxels.
  template <class Use>
  void for_each_output_line(Values &v, int64_t tile, const Use &use) const {
    const Position first = position(tile);
    const int64_t end_d = std::min<int64_t>(MD, y.d - first.d), end_h = std::min<int64_t>(M, y.h - first.h);
    const int64_t end_w = std::min<int64_t>(M, y.w - first.w);
    for (int i = 0; i < P * P; ++i) Depth::output(&v[i], P * P);
    for (int d = 0; d < end_d; ++d) {
      for (int w = 0; w < P; ++w) Plane::output(&v.at[d][0][w], P);
      for (int h = 0; h < end_h; ++h) {
        Vector *line = v.at[d][h];
        Plane::output(line, 1);
        use(first.n, first.d + d, first.h + h, first.w, line, end_w);
      }
    }
  }

  // The gradient of a tile of y, channels [c, c + kLanes), -> gradients of the products at the points.
  void transform_output_gradient(const float *dy, int64_t tile, int64_t c, Values &v) const {
    const Position first = position(tile);
    v = {};
    for (int d = 0; d < std::min<int64_t>(MD, y.d - first.d); ++d) {
      for (int h = 0; h < std::min<int64_t>(M, y.h - first.h); ++h) {
        const float *from = dy + (((first.n * y.d + first.d + d) * y.h + first.h + h) * y.w + first.w) * y.c + c;
        for (int w = 0; w < std::min<int64_t>(M, y.w - first.w); ++w) v.at[d][h][w] = load(from + w * y.c, y.c - c);
        Plane::output_gradient(v.at[d][h], 1);
      }
      for (int w = 0; w < P; ++w) Plane::output_gradient(&v.at[d][0][w], P);
    }
    for (int i = 0; i < P * P; ++i) Depth::output_gradient(&v[i], P * P);
  }

 private:
  struct Position { int64_t n, d, h, w; };
  // Of a tile's first output. The width is the fastest axis.
  Position position(int64_t tile) const {
    const int64_t w = tile % count_w, h = tile / count_w % count_h, d = tile / count_w / count_h % count_d;
    return {tile / count_w / count_h / count_d, d * MD, h * M, w * M};
  }
};

}  // namespace kidneyseg
