// A convolution's output cut into tiles, and what is between a tile and its values at the points (winograd_axis.h).
#pragma once
#include <algorithm>

#include "kernel.h"
#include "winograd_axis.h"

// Tiles of as many voxels as POINTS_DEEP points along the depth and POINTS along the other two axes tell.
template <int POINTS_DEEP, int POINTS, int TAPS>
struct Tiles {
  using Depth = Axis<POINTS_DEEP, TAPS>;
  using Plane = Axis<POINTS, TAPS>;
  static constexpr int PD = POINTS_DEEP, P = POINTS, points = PD * P * P;
  static constexpr int MD = Depth::length, M = Plane::length;
  static constexpr int taps = Depth::taps * TAPS * TAPS;

  // The values, or values at the points, of one tile and kLanes channels.
  struct Values {
    Vector at[PD][P][P];
    Vector &operator[](int point) { return (&at[0][0][0])[point]; }
    Vector &tap(int i) { return at[i / (TAPS * TAPS)][i / TAPS % TAPS][i % TAPS]; }
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

  // Values at the points -> those of a tile, line by line: use(n, d, h, w of a line's first voxel, voxels, their number).
  template <class Use>
  void outputs(Values &v, int64_t tile, const Use &use) const {
    const Place place = at(tile);
    const int64_t end_d = std::min<int64_t>(MD, to.d - place.d), end_h = std::min<int64_t>(M, to.h - place.h);
    const int64_t end_w = std::min<int64_t>(M, to.w - place.w);
    for (int i = 0; i < P * P; ++i) Depth::outputs(&v[i], P * P);
    for (int d = 0; d < end_d; ++d) {
      for (int w = 0; w < P; ++w) Plane::outputs(&v.at[d][0][w], P);
      for (int h = 0; h < end_h; ++h) {
        Vector *line = v.at[d][h];
        Plane::outputs(line, 1);
        use(place.n, place.d + d, place.h + h, place.w, line, end_w);
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
