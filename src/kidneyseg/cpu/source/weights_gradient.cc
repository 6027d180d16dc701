// dW[co, ci, tap] = sum over positions p of dy[p, co] * x[p * stride + tap, ci]
//
// Channels-last, a row of positions is a tall thin matrix, and each tap a product of two of them: 6 input channels by
// 16 output channels are kept in registers (12 vectors of 8) while a row of positions goes by.
#include "weights_gradient.h"

#include <algorithm>
#include <cstring>

#include "onednn.h"

namespace {

typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int kLanes = 8, kBlock = 16, kRows = 6;
constexpr int64_t kInputs = 48;  // input channels of one task: its sums and three rows of its input fit the cache
constexpr int kSlotSums = kSlotWork, kSlotPadded = kSlotWork + 1;

// sums[ROWS][16] += x (positions, ROWS)^T dy (positions, 16)
template <int ROWS>
void multiply(const float *x, int64_t x_step, const float *dy, int64_t dy_step, int64_t positions, float *sums) {
  Vector acc[ROWS][2];
  for (int r = 0; r < ROWS; ++r) {
    for (int v = 0; v < 2; ++v) acc[r][v] = *reinterpret_cast<const Vector *>(sums + r * kBlock + v * kLanes);
  }
  for (int64_t p = 0; p < positions; ++p) {
    const Vector low = *reinterpret_cast<const Vector *>(dy), high = *reinterpret_cast<const Vector *>(dy + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
      acc[r][0] += x[r] * low;
      acc[r][1] += x[r] * high;
    }
    x += x_step;
    dy += dy_step;
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int v = 0; v < 2; ++v) *reinterpret_cast<Vector *>(sums + r * kBlock + v * kLanes) = acc[r][v];
  }
}

using Multiply = void (*)(const float *, int64_t, const float *, int64_t, int64_t, float *);
constexpr Multiply kMultiply[kRows + 1] = {nullptr,     multiply<1>, multiply<2>, multiply<3>,
                                           multiply<4>, multiply<5>, multiply<6>};

struct Axis {
  int64_t taps, stride, dilation, padding, in, out;
  int64_t source(int64_t tap, int64_t position) const { return position * stride + tap * dilation - padding; }
  // Output positions whose source at `tap` lies inside the input.
  int64_t begin(int64_t tap) const {
    const int64_t lack = padding - tap * dilation;
    return lack <= 0 ? 0 : std::min(out, (lack + stride - 1) / stride);
  }
  int64_t end(int64_t tap) const {
    const int64_t room = in - 1 - tap * dilation + padding;
    return room < 0 ? 0 : std::min(out, room / stride + 1);
  }
};

struct Problem {
  Axis d, h, w;
  int64_t ci, co;
  const float *x;
};

// Adds one row of output positions for 16 output channels, dy_row[w * dy_step + 0..15], and `inputs` input channels
// from `first_input` on. sums: (taps, inputs, 16).
void add_row(const Problem &p, int64_t n, int64_t od, int64_t oh, const float *dy_row, int64_t dy_step,
             int64_t first_input, int64_t inputs, float *sums) {
  for (int64_t kd = 0; kd < p.d.taps; ++kd) {
    const int64_t id = p.d.source(kd, od);
    if (id < 0 || id >= p.d.in) continue;
    for (int64_t kh = 0; kh < p.h.taps; ++kh) {
      const int64_t ih = p.h.source(kh, oh);
      if (ih < 0 || ih >= p.h.in) continue;
      const float *x_row = p.x + ((n * p.d.in + id) * p.h.in + ih) * p.w.in * p.ci + first_input;
      for (int64_t kw = 0; kw < p.w.taps; ++kw) {
        const int64_t first = p.w.begin(kw), count = p.w.end(kw) - first;
        if (count <= 0) continue;
        const float *x = x_row + p.w.source(kw, first) * p.ci;
        float *tap_sums = sums + ((kd * p.h.taps + kh) * p.w.taps + kw) * inputs * kBlock;
        for (int64_t ci = 0; ci < inputs; ci += kRows) {
          const int64_t rows = std::min<int64_t>(kRows, inputs - ci);
          kMultiply[rows](x + ci, p.w.stride * p.ci, dy_row + first * dy_step, dy_step, count, tap_sums + ci * kBlock);
        }
      }
    }
  }
}

Axis axis(const Shape &weights, const Shape &strides, const Shape &dilations, const Shape &padding, int from_end,
          int64_t in, int64_t out) {
  const int64_t i = static_cast<int64_t>(strides.size()) - from_end;
  if (i < 0) return {1, 1, 1, 0, 1, 1};  // the depth of a problem with two spatial axes
  return {weights[i + 2], strides[i], dilations[i], padding[i], in, out};
}

}  // namespace

void weights_gradient(const float *x, const Volume &x_shape, const float *dy, const Volume &y_shape,
                      const Shape &weights, const Shape &strides, const Shape &dilations, const Shape &padding,
                      float *gradient) {
  const Problem p{axis(weights, strides, dilations, padding, 3, x_shape.d, y_shape.d),
                  axis(weights, strides, dilations, padding, 2, x_shape.h, y_shape.h),
                  axis(weights, strides, dilations, padding, 1, x_shape.w, y_shape.w), x_shape.c, y_shape.c, x};
  const int64_t taps = p.d.taps * p.h.taps * p.w.taps, width = p.w.out, rows = y_shape.n * p.d.out * p.h.out;
  const int64_t outputs = (p.co + kBlock - 1) / kBlock, step_in = std::min(p.ci, kInputs);
  const int64_t blocks = outputs * ((p.ci + step_in - 1) / step_in), block_size = taps * step_in * kBlock;
  // Rows are shared out too, each share with sums of its own, where the blocks alone would leave threads idle.
  const int64_t wanted = 4 * thread_count(), most = std::max<int64_t>(1, (1 << 24) / (blocks * block_size));
  const int64_t shares = std::min({(wanted + blocks - 1) / blocks, rows, most});
  float *sums = static_cast<float *>(scratch(kSlotSums, shares * blocks * block_size * sizeof(float)));
  float *padded = static_cast<float *>(scratch(kSlotPadded, shares * blocks * width * kBlock * sizeof(float)));

  parallel(shares * blocks, [&](int64_t task) {
    const int64_t share = task / blocks, output = task % outputs * kBlock, input = task % blocks / outputs * step_in;
    const int64_t channels = std::min<int64_t>(kBlock, p.co - output), inputs = std::min(step_in, p.ci - input);
    float *own = sums + task * block_size, *own_padded = padded + task * width * kBlock;
    std::memset(own, 0, block_size * sizeof(float));
    std::memset(own_padded, 0, width * kBlock * sizeof(float));
    for (int64_t row = share * rows / shares; row < (share + 1) * rows / shares; ++row) {
      const float *dy_row = dy + row * width * p.co + output;
      int64_t dy_step = p.co;
      if (channels < kBlock) {  // the last block reads and multiplies by zeros
        for (int64_t w = 0; w < width; ++w) std::copy_n(dy_row + w * p.co, channels, own_padded + w * kBlock);
        dy_row = own_padded;
        dy_step = kBlock;
      }
      add_row(p, row / (p.d.out * p.h.out), row / p.h.out % p.d.out, row % p.h.out, dy_row, dy_step, input, inputs,
              own);
    }
  });

  parallel_ranges(p.co, 1, [&](int64_t begin, int64_t end) {
    for (int64_t co = begin; co < end; ++co) {
      for (int64_t i = 0; i < taps * p.ci; ++i) {
        const int64_t tap = i % taps, ci = i / taps, input = ci / step_in;
        const int64_t inputs = std::min(step_in, p.ci - input * step_in);
        const int64_t within = (tap * inputs + ci % step_in) * kBlock + co % kBlock;
        float total = 0;
        for (int64_t share = 0; share < shares; ++share) {
          total += sums[(share * blocks + input * outputs + co / kBlock) * block_size + within];
        }
        gradient[co * p.ci * taps + i] = total;
      }
    }
  });
}
