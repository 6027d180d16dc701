#include "winograd.h"

#include "winograd_choice.h"
#include "winograd_gemm.h"

namespace kidneyseg {

bool winograd_is_faster(const Volume &y, const Filters &filters, const Shape &strides, const Shape &dilations) {
  const size_t axes = filters.taps.size();
  for (size_t i = 0; i < axes; ++i) {
    if (strides[i] != 1 || dilations[i] != 1) return false;
    if (filters.taps[i] != 3 && !(axes == 3 && i == 0 && filters.taps[i] == 1)) return false;
  }
  return best_tiling<3>(y, filters).time < direct_time(y, filters);
}

void winograd_convolution(const Tensor &x, const Filters &filters, const Shape &padding, const Tensor &y,
                          const Epilogue &epilogue) {
  const Volume shape = y.volume();
  float *out = y.floats();
  with_best_tiling<3>(x.volume(), shape, filters, padding, [&](const auto &tiling) {
    multiply_tiles(tiling, x.floats(), filters, [&](auto &values, int64_t tile, int64_t c) {
      const Epilogue::Channels channels = epilogue.channels(c, shape.c - c);
      tiling.for_each_output_line(values, tile, [&](int64_t n, int64_t d, int64_t h, int64_t w, const Vector *line,
                                                    int64_t count) {
        const int64_t first = (((n * shape.d + d) * shape.h + h) * shape.w + w) * shape.c + c;
        for (int64_t i = 0; i < count; ++i) channels.write(line[i], out, first + i * shape.c);
      });
    });
  });
}

}  // namespace kidneyseg
