// dW[co, ci, tap] = sum over positions p of dy[p, co] * x[p * stride + tap, ci]
//
// Each tap is a product of two tall thin matrices: up to 6 input channels by 16 output channels are kept in registers
// (12 vectors of 8) while positions go by. A tile of output rows and the input rows under it are packed first, so that
// both lie in the first cache, without gaps, for all taps of a pair of channel blocks.
#include "weights_gradient.h"

#include <algorithm>
#include <cstring>

#include "onednn.h"
#include "outer_products.h"

namespace {

constexpr int64_t kTile = 256;   // positions of a tile, about: 16 KiB of 16 output channels
constexpr int64_t kInputs = 48;  // input channels of one task, at most
constexpr int kSlotSums = kSlotWork, kSlotPacked = kSlotWork + 1;

struct Axis {
  int64_t taps, stride, dilation, padding, in, out;
  int64_t reach(int64_t outputs) const { return (outputs - 1) * stride + (taps - 1) * dilation + 1; }
};

struct Problem {
  Axis d, h, w;
  int64_t n, ci, co;
  const float *x, *dy;
  int64_t taps() const { return d.taps * h.taps * w.taps; }
  int64_t outputs() const { return blocks(co, kBlock); }  // blocks of output channels
};

// Rows [first, first + rows) of dy at (n, od), all output channels -> (output block, row, w, 16), zeros behind the last
// channel.
void pack_outputs(const Problem &p, int64_t n, int64_t od, int64_t first, int64_t rows, float *packed) {
  const float *source = p.dy + ((n * p.d.out + od) * p.h.out + first) * p.w.out * p.co;
  for (int64_t block = 0; block < p.outputs(); ++block) {
    const int64_t channels = std::min<int64_t>(kBlock, p.co - block * kBlock);
    for (int64_t i = 0; i < rows * p.w.out; ++i, packed += kBlock) {
      const float *from = source + i * p.co + block * kBlock;
      if (channels == kBlock) {
        std::memcpy(packed, from, kBlock * sizeof(float));
      } else {
        std::fill(std::copy_n(from, channels, packed), packed + kBlock, 0.0f);
      }
    }
  }
}

// Input row (n, id, ih) for one group of channels, with the padding around it -> (width, group).
void pack_input_row(const Problem &p, int64_t n, int64_t id, int64_t ih, int64_t channel, int64_t size, int64_t width,
                    float *packed) {
  if (ih < 0 || ih >= p.h.in) {
    std::fill_n(packed, width * size, 0.0f);
    return;
  }
  const int64_t before = std::min(p.w.padding, width), there = std::min(p.w.in, width - before);
  packed = std::fill_n(packed, before * size, 0.0f);
  const float *from = p.x + ((n * p.d.in + id) * p.h.in + ih) * p.w.in * p.ci + channel;
  // A whole vector at a time: what it holds behind the group is overwritten by the next. Not where x may end.
  for (int64_t w = 0; w + kLanes < there; ++w, from += p.ci, packed += size) std::memcpy(packed, from, sizeof(Vector));
  for (int64_t w = std::max<int64_t>(0, there - kLanes); w < there; ++w, from += p.ci) {
    packed = std::copy_n(from, size, packed);
  }
  std::fill_n(packed, (width - before - there) * size, 0.0f);
}

// Adds what the output rows [first, first + rows) at (n, od) give to sums (group, kd, output block, kh, kw, size, 16),
// the groups one after another.
void add_tile(const Problem &p, const Groups &inputs, int64_t n, int64_t od, int64_t first, int64_t rows,
              float *packed, float *sums) {
  const int64_t width = p.w.reach(p.w.out), height = p.h.reach(rows), area = rows * p.w.out * kBlock;
  float *packed_inputs = packed + p.outputs() * area;
  pack_outputs(p, n, od, first, rows, packed);
  for (int64_t group = 0; group < inputs.groups; ++group) {
    const int64_t size = inputs.size(group);
    for (int64_t kd = 0; kd < p.d.taps; ++kd) {
      const int64_t id = od * p.d.stride + kd * p.d.dilation - p.d.padding;
      const int64_t step = p.outputs() * p.h.taps * p.w.taps * size * kBlock;
      if (id < 0 || id >= p.d.in) {
        sums += step;
        continue;
      }
      for (int64_t row = 0; row < height; ++row) {
        pack_input_row(p, n, id, first * p.h.stride - p.h.padding + row, inputs.first + inputs.begin(group), size,
                       width, packed_inputs + row * width * size);
      }
      for (int64_t block = 0; block < p.outputs(); ++block) {
        for (int64_t kh = 0; kh < p.h.taps; ++kh) {
          for (int64_t kw = 0; kw < p.w.taps; ++kw, sums += size * kBlock) {
            const float *x = packed_inputs + (kh * p.h.dilation * width + kw * p.w.dilation) * size;
            kAddOuterProducts[size](x, p.w.stride * size, p.h.stride * width * size, packed + block * area, kBlock,
                                    rows, p.w.out, sums, kBlock);
          }
        }
      }
    }
  }
}

// Adds sums as add_tile leaves them to the gradient (co, ci, kd, kh, kw).
void unpack(const Problem &p, const Groups &inputs, const float *sums, float *gradient) {
  const int64_t plane = p.h.taps * p.w.taps;
  for (int64_t group = 0; group < inputs.groups; ++group) {
    for (int64_t kd = 0; kd < p.d.taps; ++kd) {
      for (int64_t block = 0; block < p.outputs(); ++block) {
        const int64_t channels = std::min<int64_t>(kBlock, p.co - block * kBlock);
        for (int64_t k = 0; k < plane; ++k) {
          for (int64_t r = 0; r < inputs.size(group); ++r, sums += kBlock) {
            const int64_t ci = inputs.first + inputs.begin(group) + r;
            float *to = gradient + ((block * kBlock * p.ci + ci) * p.d.taps + kd) * plane + k;
            for (int64_t c = 0; c < channels; ++c) to[c * p.ci * p.taps()] += sums[c];
          }
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
                  axis(weights, strides, dilations, padding, 1, x_shape.w, y_shape.w), x_shape.n, x_shape.c,
                  y_shape.c, x, dy};
  const int64_t rows = std::clamp<int64_t>(kTile / p.w.out, 1, p.h.out), tiles_h = blocks(p.h.out, rows);
  const int64_t tiles = p.n * p.d.out * tiles_h;
  const int64_t parts = blocks(p.ci, kInputs), padded = p.outputs() * kBlock * p.taps();
  // Tiles are shared out too, each share with sums of its own, where the parts alone would leave threads idle.
  const int64_t wanted = 4 * thread_count(), most = std::max<int64_t>(1, (1 << 24) / (padded * p.ci));
  const int64_t shares = std::min({blocks(wanted, parts), tiles, most});
  const int64_t packed_size = p.outputs() * rows * p.w.out * kBlock + p.h.reach(rows) * p.w.reach(p.w.out) * kRows;
  float *sums = static_cast<float *>(scratch(kSlotSums, shares * padded * p.ci * sizeof(float)));
  float *packed = static_cast<float *>(scratch(kSlotPacked, shares * parts * packed_size * sizeof(float)));
  const auto inputs = [&](int64_t part) {
    return Groups(p.ci * part / parts, p.ci * (part + 1) / parts - p.ci * part / parts);
  };

  parallel(shares * parts, [&](int64_t task) {
    const int64_t share = task / parts;
    const Groups own = inputs(task % parts);
    float *own_sums = sums + (share * p.ci + own.first) * padded;
    std::fill_n(own_sums, own.count * padded, 0.0f);
    for (int64_t tile = share * tiles / shares; tile < (share + 1) * tiles / shares; ++tile) {
      const int64_t first = tile % tiles_h * rows, slab = tile / tiles_h;
      add_tile(p, own, slab / p.d.out, slab % p.d.out, first, std::min(rows, p.h.out - first),
               packed + task * packed_size, own_sums);
    }
  });

  std::fill_n(gradient, p.co * p.ci * p.taps(), 0.0f);
  parallel(parts, [&](int64_t part) {
    const Groups own = inputs(part);
    for (int64_t share = 0; share < shares; ++share) {
      unpack(p, own, sums + (share * p.ci + own.first) * padded, gradient);
    }
  });
}
