// Max and average pooling of channels-last activations. Padding is never a maximum; average pooling has no padding.
#include <algorithm>

#include "kernel.h"

namespace kidneyseg {
namespace {

constexpr int kAxes = 3;  // depth, height, width
constexpr int64_t kGrain = 65536;  // elements that are worth a task

// The settings tensor of all poolings (pooling_cells.py: pooling_settings), per axis; 1, 1 and 0 for a missing depth.
struct Pooling {
  int64_t kernel[kAxes], stride[kAxes], padding[kAxes];  // padding at the low end

  explicit Pooling(const Tensor &settings) {
    const int64_t *values = settings.integers();
    std::copy_n(values, kAxes, kernel);
    std::copy_n(values + kAxes, kAxes, stride);
    std::copy_n(values + 2 * kAxes, kAxes, padding);
  }
  float averaging_weight() const { return 1.0f / (kernel[0] * kernel[1] * kernel[2]); }
};

struct Range { int64_t begin, end; };

// The window of output `out` along one axis, clipped to an input of `length`.
Range window(const Pooling &pooling, int axis, int64_t out, int64_t length) {
  const int64_t begin = out * pooling.stride[axis] - pooling.padding[axis];
  return {std::max<int64_t>(0, begin), std::min(length, begin + pooling.kernel[axis])};
}

// Calls job(offset of the voxel's first channel) for the input's voxels in the window of output (od, oh, ow), the last
// axis fastest.
template <class Job>
void for_each_in_window(const Volume &in, const Pooling &pooling, int64_t n, int64_t od, int64_t oh, int64_t ow,
                        const Job &job) {
  const Range depth = window(pooling, 0, od, in.d), height = window(pooling, 1, oh, in.h);
  const Range width = window(pooling, 2, ow, in.w);
  for (int64_t d = depth.begin; d < depth.end; ++d) {
    for (int64_t h = height.begin; h < height.end; ++h) {
      for (int64_t w = width.begin; w < width.end; ++w) job((((n * in.d + d) * in.h + h) * in.w + w) * in.c);
    }
  }
}

// Calls job(output's offset, n, od, oh, ow) for the voxels of the output's rows (n, od, oh) [begin, end).
template <class Job>
void for_each_output(const Volume &out, int64_t begin, int64_t end, const Job &job) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t ow = 0; ow < out.w; ++ow) {
      job((row * out.w + ow) * out.c, row / (out.d * out.h), row / out.h % out.d, row % out.h, ow);
    }
  }
}

// Sets dx to zero, then calls job(begin, end) for ranges that cover the output's rows, on all threads. Where windows
// overlap along depth or height, two threads would add to the same voxel of dx: then one thread takes a whole sample.
template <class Job>
void scatter_rows(const Volume &in, const Volume &out, const Pooling &pooling, float *dx, const Job &job) {
  parallel_ranges(in.size(), kGrain, [&](int64_t begin, int64_t end) { std::fill(dx + begin, dx + end, 0.0f); });
  const bool overlap = pooling.stride[0] < pooling.kernel[0] || pooling.stride[1] < pooling.kernel[1];
  const int64_t rows = overlap ? out.d * out.h : 1;
  parallel_ranges(out.n * out.d * out.h / rows, 1, [&](int64_t begin, int64_t end) { job(begin * rows, end * rows); });
}

}  // namespace

KERNEL(MaxPoolForward) {
  enum { kX, kSettings, kY };
  const Volume in = args[kX].volume(), out = args[kY].volume();
  const Pooling pooling(args[kSettings]);
  const float *x = args[kX].floats();
  float *all_y = args[kY].floats();
  parallel_ranges(out.n * out.d * out.h, 1, [&](int64_t begin, int64_t end) {
    for_each_output(out, begin, end, [&](int64_t at, int64_t n, int64_t od, int64_t oh, int64_t ow) {
      float *y = all_y + at;
      bool first = true;
      for_each_in_window(in, pooling, n, od, oh, ow, [&](int64_t offset) {
        const float *voxel = x + offset;
        if (first) {
          std::copy_n(voxel, out.c, y);
        } else {
          // The negated comparison lets NaN through to the output, where a run that diverges must show.
          for (int64_t c = 0; c < out.c; ++c) y[c] = !(voxel[c] <= y[c]) ? voxel[c] : y[c];
        }
        first = false;
      });
    });
  });
}

// The gradient goes to the first voxel of a window that holds its maximum.
KERNEL(MaxPoolBackward) {
  enum { kX, kY, kDy, kSettings, kDx };
  const Volume in = args[kX].volume(), out = args[kY].volume();
  const Pooling pooling(args[kSettings]);
  const float *x = args[kX].floats(), *y = args[kY].floats(), *dy = args[kDy].floats();
  float *dx = args[kDx].floats();
  scatter_rows(in, out, pooling, dx, [&](int64_t begin, int64_t end) {
    std::vector<float> not_given(out.c);  // 0 once the maximum has been found
    for_each_output(out, begin, end, [&](int64_t at, int64_t n, int64_t od, int64_t oh, int64_t ow) {
      float *left = not_given.data();
      std::copy_n(dy + at, out.c, left);
      for_each_in_window(in, pooling, n, od, oh, ow, [&](int64_t offset) {
        for (int64_t c = 0; c < out.c; ++c) {
          const float given = x[offset + c] == y[at + c] ? left[c] : 0.0f;
          dx[offset + c] += given;
          left[c] -= given;
        }
      });
    });
  });
}

KERNEL(AveragePoolForward) {
  enum { kX, kSettings, kY };
  const Volume in = args[kX].volume(), out = args[kY].volume();
  const Pooling pooling(args[kSettings]);
  const float *x = args[kX].floats(), weight = pooling.averaging_weight();
  float *all_y = args[kY].floats();
  parallel_ranges(out.n * out.d * out.h, 1, [&](int64_t begin, int64_t end) {
    for_each_output(out, begin, end, [&](int64_t at, int64_t n, int64_t od, int64_t oh, int64_t ow) {
      float *y = all_y + at;
      std::fill_n(y, out.c, 0.0f);
      for_each_in_window(in, pooling, n, od, oh, ow, [&](int64_t offset) {
        for (int64_t c = 0; c < out.c; ++c) y[c] += weight * x[offset + c];
      });
    });
  });
}

// Of x only the shape is used.
KERNEL(AveragePoolBackward) {
  enum { kX, kDy, kSettings, kDx };
  const Volume in = args[kX].volume(), out = args[kDy].volume();
  const Pooling pooling(args[kSettings]);
  const float *all_dy = args[kDy].floats(), weight = pooling.averaging_weight();
  float *dx = args[kDx].floats();
  scatter_rows(in, out, pooling, dx, [&](int64_t begin, int64_t end) {
    for_each_output(out, begin, end, [&](int64_t at, int64_t n, int64_t od, int64_t oh, int64_t ow) {
      const float *dy = all_dy + at;
      for_each_in_window(in, pooling, n, od, oh, ow, [&](int64_t offset) {
        for (int64_t c = 0; c < out.c; ++c) dx[offset + c] += weight * dy[c];
      });
    });
  });
}

}  // namespace kidneyseg
