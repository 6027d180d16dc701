// Max and mean pooling, channels-last. Settings: int64, kernel (z, y, x), stride (z, y, x), voxels of padding at the low
// end (z, y, x); 1, 1 and 0 for a missing depth. What is padded never is a maximum, and means have no padding.
#include <algorithm>

#include "kernel.h"

namespace {

struct Range { int64_t begin, end; };

// The part of an output's window along one axis that lies in the input; `settings` are those of the axis.
Range window(const int64_t *settings, int64_t out, int64_t length) {
  const int64_t begin = out * settings[3] - settings[6];
  return {std::max<int64_t>(0, begin), std::min(length, begin + settings[0])};
}

// Calls job(input voxel's offset) for the voxels of the window of output (od, oh, ow), first along x.
template <class Job>
void for_window(const Volume &in, const int64_t *settings, int64_t n, int64_t od, int64_t oh, int64_t ow,
                const Job &job) {
  const Range z = window(settings, od, in.d), y = window(settings + 1, oh, in.h), x = window(settings + 2, ow, in.w);
  for (int64_t d = z.begin; d < z.end; ++d) {
    for (int64_t h = y.begin; h < y.end; ++h) {
      for (int64_t w = x.begin; w < x.end; ++w) job((((n * in.d + d) * in.h + h) * in.w + w) * in.c);
    }
  }
}

// Sets dx to zero and calls job(first row, last row) for rows of the output that write to it, on all threads. Windows
// that overlap along z or y would write to the same voxels from two threads: then each sample is one thread's.
template <class Job>
void for_rows(const Volume &in, const Volume &out, const int64_t *settings, float *dx, const Job &job) {
  parallel_ranges(in.n * in.positions() * in.c, 65536, [&](int64_t begin, int64_t end) {
    std::fill(dx + begin, dx + end, 0.0f);
  });
  const bool overlap = settings[3] < settings[0] || settings[4] < settings[1];
  const int64_t rows = overlap ? out.d * out.h : 1;
  parallel_ranges(out.n * out.d * out.h / rows, 1, [&](int64_t begin, int64_t end) { job(begin * rows, end * rows); });
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
  for_rows(in, out, settings, dx, [&](int64_t begin, int64_t end) {
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

// x, settings -> y
KERNEL(MeanPoolForward) {
  const Volume in = args.volume(0), out = args.volume(2);
  const float *x = args.floats(0);
  const int64_t *settings = args.integers(1);
  const float share = 1.0f / (settings[0] * settings[1] * settings[2]);
  parallel_ranges(out.n * out.d * out.h, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t ow = 0; ow < out.w; ++ow) {
        float *y = args.floats(2) + (row * out.w + ow) * out.c;
        std::fill_n(y, out.c, 0.0f);
        for_window(in, settings, row / (out.d * out.h), row / out.h % out.d, row % out.h, ow, [&](int64_t offset) {
          for (int64_t c = 0; c < out.c; ++c) y[c] += share * x[offset + c];
        });
      }
    }
  });
}

// x (for its shape), dy, settings -> dx
KERNEL(MeanPoolBackward) {
  const Volume in = args.volume(0), out = args.volume(1);
  const int64_t *settings = args.integers(2);
  const float share = 1.0f / (settings[0] * settings[1] * settings[2]);
  float *dx = args.floats(3);
  for_rows(in, out, settings, dx, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t ow = 0; ow < out.w; ++ow) {
        const float *dy = args.floats(1) + (row * out.w + ow) * out.c;
        for_window(in, settings, row / (out.d * out.h), row / out.h % out.d, row % out.h, ow, [&](int64_t offset) {
          for (int64_t c = 0; c < out.c; ++c) dx[offset + c] += share * dy[c];
        });
      }
    }
  });
}
