// Convolution by Winograd's filtering: inputs and filters to the points, products there, and back.
#include "winograd.h"

#include "winograd_choice.h"
#include "winograd_products.h"

bool winograd_pays(const Volume &y, const Filters &filters, const Shape &strides, const Shape &dilations) {
  const size_t axes = filters.taps.size();
  for (size_t i = 0; i < axes; ++i) {
    if (strides[i] != 1 || dilations[i] != 1) return false;
    if (filters.taps[i] != 3 && !(axes == 3 && i == 0 && filters.taps[i] == 1)) return false;
  }
  return best_tiles<3>(y, filters).time < direct_time(y, filters);
}

void winograd(const float *x, const Volume &x_shape, const Filters &filters, const Finish &finish, const Shape &padding,
              float *y, const Volume &y_shape) {
  with_best_tiles<3>(x_shape, y_shape, filters, padding, [&](const auto &tiles) {
    multiply_tiles(tiles, x, filters, [&](auto &values, int64_t tile, int64_t c) {
      const Finish::Channels own = finish.channels(c, y_shape.c - c);
      tiles.outputs(values, tile, [&](int64_t n, int64_t d, int64_t h, int64_t w, const Vector *line, int64_t count) {
        const int64_t first = (((n * y_shape.d + d) * y_shape.h + h) * y_shape.w + w) * y_shape.c + c;
        for (int64_t i = 0; i < count; ++i) own.write(line[i], y, first + i * y_shape.c);
      });
    });
  });
}
