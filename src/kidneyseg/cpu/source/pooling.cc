// Max pooling without padding, channels-last. Settings: int64, kernel (z, y, x) then stride (z, y, x), 1 for a missing
// depth.
#include <algorithm>

#include "kernel.h"

namespace {

// Calls job(input voxel's offset) for the voxels of the window of output (od, oh, ow), first along x.
template <class Job>
void for_window(const Volume &in, const int64_t *settings, int64_t n, int64_t od, int64_t oh, int64_t ow,
                const Job &job) {
  const int64_t *kernel = settings, *stride = settings + 3;
  for (int64_t d = od * stride[0]; d < od * stride[0] + kernel[0]; ++d) {
    for (int64_t h = oh * stride[1]; h < oh * stride[1] + kernel[1]; ++h) {
      for (int64_t w = ow * stride[2]; w < ow * stride[2] + kernel[2]; ++w) {
        job((((n * in.d + d) * in.h + h) * in.w + w) * in.c);
      }
    }
  }
}

}  // namespace

// x, settings -> y
KERNEL(MaxPoolForward) {
  const Volume in = args.volume(0), out = args.volume(2);
  const float *x = args.floats(0);
  const int64_t *settings = args.integers(1);
  parallel_ranges(out.n * out.d * out.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t ow = 0; ow < out.w; ++ow) {
        float *y = args.floats(2) + (row * out.w + ow) * out.c;
        bool first = true;
        for_window(in, settings, row / (out.d * out.h), row / out.h % out.d, row % out.h, ow, [&](int64_t offset) {
          const float *voxel = x + offset;
          if (first) {
            std::copy_n(voxel, out.c, y);
          } else {
            // The negated comparison lets NaN through to the output, where a run that diverges must show.
            for (int64_t c = 0; c < out.c; ++c) y[c] = !(voxel[c] <= y[c]) ? voxel[c] : y[c];
          }
          first = false;
        });
      }
    }
  });
}

// x, y, dy, settings -> dx. The gradient goes to the first voxel of a window that holds its maximum.
KERNEL(MaxPoolBackward) {
  const Volume in = args.volume(0), out = args.volume(1);
  const float *x = args.floats(0), *y = args.floats(1), *dy = args.floats(2);
  const int64_t *settings = args.integers(3);
  float *dx = args.floats(4);
  // Windows that overlap along z or y would write to the same voxels from two threads.
  const bool overlap = settings[3] < settings[0] || settings[4] < settings[1];
  parallel_ranges(in.n * in.positions() * in.c, 65536, [&](int64_t begin, int64_t end) {
    std::fill(dx + begin, dx + end, 0.0f);
  });
  const int64_t rows = out.n * out.d * out.h;
  parallel_ranges(rows, overlap ? rows : 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rest(out.c);  // gradients not yet given away
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t ow = 0; ow < out.w; ++ow) {
        const int64_t at = (row * out.w + ow) * out.c;
        std::copy_n(dy + at, out.c, rest.data());
        float *left = rest.data();
        for_window(in, settings, row / (out.d * out.h), row / out.h % out.d, row % out.h, ow, [&](int64_t offset) {
          for (int64_t c = 0; c < out.c; ++c) {
            const float given = x[offset + c] == y[at + c] ? left[c] : 0.0f;
            dx[offset + c] += given;
            left[c] -= given;
          }
        });
      }
    }
  });
}
