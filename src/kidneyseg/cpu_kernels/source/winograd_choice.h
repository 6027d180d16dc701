// Which tiles a convolution takes the least time with, and whether that is less than a product per tap takes.
#pragma once
#include <cstdlib>
#include <cstring>
#include <limits>

#include "winograd.h"
#include "winograd_tiles.h"

inline bool is_flat(const Filters &filters) { return filters.taps.size() == 2 || filters.taps[0] == 1; }

// Times in units of one product per tap, voxel and pair of channels.
// KIDNEYSEG_WINOGRAD=always makes tiles the choice on every processor: for tests, whose cases are small.
inline double direct_time(const Volume &y, const Filters &filters) {
  const char *wish = std::getenv("KIDNEYSEG_WINOGRAD");
  if (wish && std::strcmp(wish, "always") == 0) return std::numeric_limits<double>::infinity();
#ifdef __AVX512F__
  constexpr double vectors = 0.5;  // oneDNN's are twice as long there
#else
  constexpr double vectors = 1;
#endif
  return vectors * y.n * y.positions() * (is_flat(filters) ? 9 : 27) * filters.inputs * filters.outputs;
}

struct Choice { int deep, plane; double time; };  // points along the depth and along the other axes

// By tiles of these numbers of points, for kernels of `taps`.
inline double tiled_time(const Volume &y, const Filters &filters, int taps, int deep, int plane) {
  constexpr double most = 1 << 26;  // floats of filters at the points: 256 MiB
  const int64_t length = plane + 1 - taps, length_deep = deep == 1 ? 1 : deep + 1 - taps;
  const double points = deep * plane * plane;
  const double tiles = y.n * blocks(y.d, length_deep) * blocks(y.h, length) * blocks(y.w, length);
  const double inputs = blocks(filters.inputs, kLanes) * kLanes, outputs = blocks(filters.outputs, kBlock) * kBlock;
  if (points * inputs * outputs > most) return std::numeric_limits<double>::infinity();
  // Transforms cost as much as 24 products per channel, those of the weights as 48 per pair: measured (AVX2).
  return points * (tiles * (inputs * outputs + 24 * (inputs + outputs)) + 48 * inputs * outputs);
}

// The tiles that take the least time.
template <int TAPS>
Choice best_tiles(const Volume &y, const Filters &filters) {
  Choice best{0, 0, std::numeric_limits<double>::infinity()};
  for (const int deep : {1, 4, 6}) {
    if (is_flat(filters) != (deep == 1)) continue;
    for (const int plane : {4, 6}) {
      const double time = tiled_time(y, filters, TAPS, deep, plane);
      if (time < best.time) best = {deep, plane, time};
    }
  }
  return best;
}

// Calls `use` with the tiles that take the least time.
template <int TAPS, class Use>
void with_best_tiles(const Volume &x, const Volume &y, const Filters &filters, const Shape &padding, const Use &use) {
  const Choice best = best_tiles<TAPS>(y, filters);
  if (best.deep == 1 && best.plane == 4) use(Tiles<1, 4, TAPS>(x, y, padding));
  if (best.deep == 1 && best.plane == 6) use(Tiles<1, 6, TAPS>(x, y, padding));
  if (best.deep == 4 && best.plane == 4) use(Tiles<4, 4, TAPS>(x, y, padding));
  if (best.deep == 4 && best.plane == 6) use(Tiles<4, 6, TAPS>(x, y, padding));
  if (best.deep == 6 && best.plane == 4) use(Tiles<6, 4, TAPS>(x, y, padding));
  if (best.deep == 6 && best.plane == 6) use(Tiles<6, 6, TAPS>(x, y, padding));
}
