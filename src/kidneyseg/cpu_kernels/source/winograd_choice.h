// Which tiling a convolution is fastest with, and whether that is faster than one product per tap.
#pragma once
#include <cstdlib>
#include <cstring>
#include <limits>

#include "winograd.h"
#include "winograd_tiling.h"

namespace kidneyseg {

inline bool is_flat(const Filters &filters) { return filters.taps.size() == 2 || filters.taps[0] == 1; }

// Estimated times are in units of one multiply-add per lane with AVX2. This one is without Winograd's filtering.
// KIDNEYSEG_WINOGRAD=always chooses tiles on every processor: for tests, whose cases are small.
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

// Points along the depth, points along height and width, and the estimated time with them.
struct Choice { int deep, plane; double time; };

inline double tiled_time(const Volume &y, const Filters &filters, int taps, int deep, int plane) {
  constexpr double max_floats = 1 << 26;  // of filters at the points: 256 MiB
  const int64_t length = plane + 1 - taps, length_deep = deep == 1 ? 1 : deep + 1 - taps;
  const double points = deep * plane * plane;
  const double tiles = y.n * divide_up(y.d, length_deep) * divide_up(y.h, length) * divide_up(y.w, length);
  const double inputs = round_up(filters.inputs, kLanes), outputs = round_up(filters.outputs, kNr);
  if (points * inputs * outputs > max_floats) return std::numeric_limits<double>::infinity();
  // A transform costs as much as 24 products per channel, that of a filter as 48 per pair of channels: measured (AVX2).
  return points * (tiles * (inputs * outputs + 24 * (inputs + outputs)) + 48 * inputs * outputs);
}

template <int TAPS>
Choice best_tiling(const Volume &y, const Filters &filters) {
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

// Calls `use` with the fastest Tiling.
template <int TAPS, class Use>
void with_best_tiling(const Volume &x, const Volume &y, const Filters &filters, const Shape &padding, const Use &use) {
  const Choice best = best_tiling<TAPS>(y, filters);
  if (best.deep == 1 && best.plane == 4) use(Tiling<1, 4, TAPS>(x, y, padding));
  if (best.deep == 1 && best.plane == 6) use(Tiling<1, 6, TAPS>(x, y, padding));
  if (best.deep == 4 && best.plane == 4) use(Tiling<4, 4, TAPS>(x, y, padding));
  if (best.deep == 4 && best.plane == 6) use(Tiling<4, 6, TAPS>(x, y, padding));
  if (best.deep == 6 && best.plane == 4) use(Tiling<6, 4, TAPS>(x, y, padding));
  if (best.deep == 6 && best.plane == 6) use(Tiling<6, 6, TAPS>(x, y, padding));
}

}  // namespace kidneyseg
