// dW[co, ci, tap] = sum over positions p of dy[p, co] * x[p * stride + tap, ci]
//
// Each tap is a product of two tall thin matrices: up to 6 input channels by 16 output channels are kept in registers
// (12 vectors of 8) while positions go by. Tiles of output rows, and the input rows under them, are packed first:
// without gaps, both fit into the first-level cache for all taps of a pair of channel blocks.
#include "weights_gradient.h"

#include <algorithm>
#include <cstring>

#include "outer_products.h"

namespace kidneyseg {
namespace {

constexpr int64_t kTilePositions = 256;  // about: 16 KiB of 16 output channels
constexpr int64_t kTaskInputs = 48;      // input channels of one task, at most
constexpr int kSlotSums = kSlotWork, kSlotPacked = kSlotWork + 1;

struct Axis {
  int64_t taps, stride, dilation, padding, in, out;
  // The length of the input that `outputs` neighbouring outputs depend on.
  int64_t input_extent(int64_t outputs) const { return (outputs - 1) * stride + (taps - 1) * dilation + 1; }
};

struct Operands {
  Axis d, h, w;
  int64_t n, ci, co;
  const float *x, *dy;
  int64_t taps() const { return d.taps * h.taps * w.taps; }
  int64_t output_blocks() const { return divide_up(co, kNr); }
};

// Rows [first, first + rows) of dy at (n, od), all output channels -> (output block, row, w, 16), zeros after the last
// channel.
void pack_outputs(const Operands &p, int64_t n, int64_t od, int64_t first, int64_t rows, float *packed) {
  const float *source = p.dy + ((n * p.d.out + od) * p.h.out + first) * p.w.out * p.co;
  for (int64_t block = 0; block < p.output_blocks(); ++block) {
    const int64_t channels = std::min<int64_t>(kNr, p.co - block * kNr);
    for (int64_t i = 0; i < rows * p.w.out; ++i, packed += kNr) {
      const float *from = source + i * p.co + block * kNr;
      if (channels == kNr) {
        std::memcpy(packed, from, kNr * sizeof(float));
      } else {
        std::fill(std::copy_n(from, channels, packed), packed + kNr, 0.0f);
      }
    }
  }
}

// Input row (n, id, ih), channels [channel, channel + size), with the padding around it -> (width, size).
void pack_input_row(const Operands &p, int64_t n, int64_t id, int64_t ih, int64_t channel, int64_t size, int64_t width,
                    float *packed) {
  if (ih < 0 || ih >= p.h.in) {
    std::fill_n(packed, width * size, 0.0f);
    return;
  }
  const int64_t before = std::min(p.w.padding, width), inside = std::min(p.w.in, width - before);
  packed = std::fill_n(packed, before * size, 0.0f);
  const float *from = p.x + ((n * p.d.in + id) * p.h.in + ih) * p.w.in * p.ci + channel;
  // A whole vector at a time: what it holds beyond the block is overwritten by the next. Not where x may end.
  for (int64_t w = 0; w + kLanes < inside; ++w, from += p.ci, packed += size) std::memcpy(packed, from, sizeof(Vector));
  for (int64_t w = std::max<int64_t>(0, inside - kLanes); w < inside; ++w, from += p.ci) {
    packed = std::copy_n(from, size, packed);
  }
  std::fill_n(packed, (width - before - inside) * size, 0.0f);
}

// Adds what the output rows [first, first + rows) at (n, od) contribute to sums (input block, kd, output block, kh, kw,
// block size, 16).
void add_tile(const Operands &p, const ChannelBlocks &inputs, int64_t n, int64_t od, int64_t first, int64_t rows,
              float *packed, float *sums) {
  const int64_t width = p.w.input_extent(p.w.out), height = p.h.input_extent(rows), area = rows * p.w.out * kNr;
  float *packed_inputs = packed + p.output_blocks() * area;
  pack_outputs(p, n, od, first, rows, packed);
  for (int64_t input_block = 0; input_block < inputs.count; ++input_block) {
    const int64_t size = inputs.size(input_block), channel = inputs.first + inputs.begin(input_block);
    for (int64_t kd = 0; kd < p.d.taps; ++kd) {
      const int64_t id = od * p.d.stride + kd * p.d.dilation - p.d.padding;
      if (id < 0 || id >= p.d.in) {
        sums += p.output_blocks() * p.h.taps * p.w.taps * size * kNr;
        continue;
      }
      for (int64_t row = 0; row < height; ++row) {
        pack_input_row(p, n, id, first * p.h.stride - p.h.padding + row, channel, size, width,
                       packed_inputs + row * width * size);
      }
      for (int64_t block = 0; block < p.output_blocks(); ++block) {
        for (int64_t kh = 0; kh < p.h.taps; ++kh) {
          for (int64_t kw = 0; kw < p.w.taps; ++kw, sums += size * kNr) {
            const float *x = packed_inputs + (kh * p.h.dilation * width + kw * p.w.dilation) * size;
            kAddOuterProducts[size](x, p.w.stride * size, p.h.stride * width * size, packed + block * area, kNr, rows,
                                    p.w.out, sums, kNr);
          }
        }
      }
    }
  }
}

// Adds sums as add_tile() leaves them to the gradient (co, ci, kd, kh, kw).
void unpack(const Operands &p, const ChannelBlocks &inputs, const float *sums, float *gradient) {
  const int64_t plane = p.h.taps * p.w.taps;
  for (int64_t input_block = 0; input_block < inputs.count; ++input_block) {
    for (int64_t kd = 0; kd < p.d.taps; ++kd) {
      for (int64_t block = 0; block < p.output_blocks(); ++block) {
        const int64_t channels = std::min<int64_t>(kNr, p.co - block * kNr);
        for (int64_t k = 0; k < plane; ++k) {
          for (int64_t r = 0; r < inputs.size(input_block); ++r, sums += kNr) {
            const int64_t ci = inputs.first + inputs.begin(input_block) + r;
            float *to = gradient + ((block * kNr * p.ci + ci) * p.d.taps + kd) * plane + k;
            for (int64_t c = 0; c < channels; ++c) to[c * p.ci * p.taps()] += sums[c];
          }
        }
      }
    }
  }
}

// `from_end`: 3 for the depth, 2 for the height, 1 for the width.
Axis make_axis(const ConvolutionProblem &problem, int from_end, int64_t in, int64_t out) {
  const int64_t i = static_cast<int64_t>(problem.strides.size()) - from_end;
  if (i < 0) return {1, 1, 1, 0, 1, 1};  // the depth of a problem with two spatial axes
  return {problem.weights[i + 2], problem.strides[i], problem.dilations[i], problem.padding[i], in, out};
}

}  // namespace

void weights_gradient(const Tensor &x, const Tensor &dy, const ConvolutionProblem &problem, float *gradient) {
  const Volume in = x.volume(), out = dy.volume();
  const Operands p{make_axis(problem, 3, in.d, out.d), make_axis(problem, 2, in.h, out.h),
                   make_axis(problem, 1, in.w, out.w), in.n, in.c, out.c, x.floats(), dy.floats()};
  const int64_t rows = std::clamp<int64_t>(kTilePositions / p.w.out, 1, p.h.out);
  const int64_t tiles_h = divide_up(p.h.out, rows), tiles = p.n * p.d.out * tiles_h;
  const int64_t parts = divide_up(p.ci, kTaskInputs), sums_per_input = p.output_blocks() * kNr * p.taps();
  // A task is a part of the input channels and a chunk of the tiles, with sums of its own: parts alone would leave
  // threads without work.
  const int64_t wanted = 4 * thread_count(), max_chunks = std::max<int64_t>(1, (1 << 24) / (sums_per_input * p.ci));
  const int64_t chunks = std::min({divide_up(wanted, parts), tiles, max_chunks});
  const int64_t packed_size =
      p.output_blocks() * rows * p.w.out * kNr + p.h.input_extent(rows) * p.w.input_extent(p.w.out) * kMr;
  float *sums = static_cast<float *>(scratch(kSlotSums, chunks * sums_per_input * p.ci * sizeof(float)));
  float *packed = static_cast<float *>(scratch(kSlotPacked, chunks * parts * packed_size * sizeof(float)));
  const auto inputs = [&](int64_t part) {
    return ChannelBlocks(p.ci * part / parts, p.ci * (part + 1) / parts - p.ci * part / parts);
  };

  parallel_for(chunks * parts, [&](int64_t task) {
    const int64_t chunk = task / parts;
    const ChannelBlocks own = inputs(task % parts);
    float *own_sums = sums + (chunk * p.ci + own.first) * sums_per_input;
    std::fill_n(own_sums, own.channels * sums_per_input, 0.0f);
    for (int64_t tile = chunk * tiles / chunks; tile < (chunk + 1) * tiles / chunks; ++tile) {
      const int64_t first = tile % tiles_h * rows, slice = tile / tiles_h;
      add_tile(p, own, slice / p.d.out, slice % p.d.out, first, std::min(rows, p.h.out - first),
               packed + task * packed_size, own_sums);
    }
  });

  std::fill_n(gradient, p.co * p.ci * p.taps(), 0.0f);
  parallel_for(parts, [&](int64_t part) {
    const ChannelBlocks own = inputs(part);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      unpack(p, own, sums + (chunk * p.ci + own.first) * sums_per_input, gradient);
    }
  });
}

}  // namespace kidneyseg
