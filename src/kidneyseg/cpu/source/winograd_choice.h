// Which tiles a convolution takes the least time with, and whether that is less than a product per tap takes.
#pragma once
#include <limits>

#include "winograd_tiles.h"

inline bool is_flat(const Filters &filters) { return filters.taps.size() == 2 || filters.taps[0] == 1; }

// Times in units of one product per tap, voxel and pair of channels.
inline double direct_time(const Volume &y, const Filters &filters) {
#ifdef __AVX512F__
  constexpr double vectors = 0.5;  // oneDNN's are twice as long there
#else
  constexpr double vectors = 1;
#endif
  return vectors * y.n * y.positions() * (is_flat(filters) ? 9 : 27) * filters.inputs * filters.outputs;
}

// By tiles of (md, m, m).
inline double tiled_time(const Volume &y, const Filters &filters, int md, int m) {
  constexpr double most = 1 << 26;  // floats of filters at the points: 256 MiB
  const double points = (md == 1 ? 1 : md + 2) * (m + 2) * (m + 2);
  const double tiles = y.n * blocks(y.d, md) * blocks(y.h, m) * blocks(y.w, m);
  const double inputs = blocks(filters.inputs, kLanes) * kLanes, outputs = blocks(filters.outputs, kBlock) * kBlock;
  if (points * inputs * outputs > most) return std::numeric_limits<double>::infinity();
  // Transforms cost as much as 24 products per channel, those of the weights as 48 per pair: measured (AVX2).
  return points * (tiles * (inputs * outputs + 24 * (inputs + outputs)) + 48 * inputs * outputs);
}

struct Choice { int md, m; double time; };

// The tiles that take the least time.
inline Choice best_tiles(const Volume &y, const Filters &filters) {
  Choice best{0, 0, std::numeric_limits<double>::infinity()};
  for (const int md : {1, 2, 4}) {
    if (is_flat(filters) != (md == 1)) continue;
    for (const int m : {2, 4}) {
      const double time = tiled_time(y, filters, md, m);
      if (time < best.time) best = {md, m, time};
    }
  }
  return best;
}

// Calls `use` with the tiles that take the least time.
template <class Use>
void with_best_tiles(const Volume &x, const Volume &y, const Filters &filters, const Shape &padding, const Use &use) {
  const Choice best = best_tiles(y, filters);
  if (best.md == 1 && best.m == 2) use(Tiles<1, 2>(x, y, padding));
  if (best.md == 1 && best.m == 4) use(Tiles<1, 4>(x, y, padding));
  if (best.md == 2 && best.m == 2) use(Tiles<2, 2>(x, y, padding));
  if (best.md == 2 && best.m == 4) use(Tiles<2, 4>(x, y, padding));
  if (best.md == 4 && best.m == 2) use(Tiles<4, 2>(x, y, padding));
  if (best.md == 4 && best.m == 4) use(Tiles<4, 4>(x, y, padding));
}
