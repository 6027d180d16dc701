// Convolution, and with the roles of input and output exchanged the transposed convolution: by Winograd's filtering
// where that pays (winograd.h), else by oneDNN.
//
// Tensors: x (N, Ci, *S) and y (N, Co, *S') channels-last, weights (Co, Ci, *K) plain, and last the geometry: int64,
// one entry per spatial axis of strides, then dilations, then paddings at the low end, and last whether oneDNN may
// round what it multiplies to bfloat16 (1 or 0). It does so only where the CPU is faster for it; sums are float32.
// Between weights and geometry there may be constants, (Co,) or (3, Co), and a tensor to add: see epilogue.h.
#include <map>
#include <memory>

#include "onednn.h"
#include "weights_gradient.h"
#include "winograd.h"

namespace {

enum Kind { kForward, kData, kWeights };

struct Problem {
  Shape x, weights, y, strides, dilations, padding;
  bool bfloat16;

  Problem(Shape x_shape, Shape weights_shape, Shape y_shape, const int64_t *geometry)
      : x(std::move(x_shape)), weights(std::move(weights_shape)), y(std::move(y_shape)) {
    const size_t axes = x.size() - 2;
    strides.assign(geometry, geometry + axes);
    dilations.assign(geometry + axes, geometry + 2 * axes);
    padding.assign(geometry + 2 * axes, geometry + 3 * axes);
    bfloat16 = geometry[3 * axes] != 0;
  }

  // At the high end: what the output's size needs. Less than nothing where a stride leaves voxels unused.
  Shape padding_high() const {
    Shape high(padding.size());
    for (size_t i = 0; i < high.size(); ++i) {
      const int64_t reach = (y[i + 2] - 1) * strides[i] + (weights[i + 2] - 1) * dilations[i] + 1;
      high[i] = reach - x[i + 2] - padding[i];
    }
    return high;
  }

  // Weights as `kind` sees them: to the gradient of the input, inputs are outputs and the last tap is the first.
  Filters filters(float *values, Kind kind) const {
    const Shape taps(weights.begin() + 2, weights.end());
    int64_t count = 1;
    for (const int64_t length : taps) count *= length;
    if (kind != kData) return {values, weights[0], weights[1], weights[1] * count, count, taps, false};
    return {values, weights[1], weights[0], count, weights[1] * count, taps, true};
  }

  bool by_winograd(const Filters &filters, const Volume &result) const {
    return !bfloat16 && winograd_pays(result, filters, strides, dilations);
  }

  Shape key(Kind kind) const {
    Shape key = {kind, bfloat16};
    for (const Shape *part : {&x, &weights, &y, &strides, &dilations, &padding}) {
      key.insert(key.end(), part->begin(), part->end());
    }
    return key;
  }
};

using Prepared = std::unique_ptr<Call>;  // none where oneDNN has no fast code and we do

dnnl_primitive_attr *make_attributes(int math_mode) {
  dnnl_primitive_attr *made = nullptr;
  check(dnnl_primitive_attr_create(&made), "attributes");
  check(dnnl_primitive_attr_set_scratchpad_mode(made, kScratchpadUser), "scratchpad mode");
  check(dnnl_primitive_attr_set_fpmath_mode(made, math_mode), "math mode");
  return made;
}

dnnl_primitive_attr *attributes(bool bfloat16) {
  static dnnl_primitive_attr *strict = make_attributes(kMathStrict), *rounding = make_attributes(kMathBf16);
  return bfloat16 ? rounding : strict;
}

Prepared prepare(const Problem &problem, Kind kind) {
  const Layout x = channels_last_layout(problem.x), y = channels_last_layout(problem.y);
  const Layout weights = plain_layout(problem.weights), packed = any_layout(problem.weights);
  const Shape high = problem.padding_high();
  Shape dilates = problem.dilations;
  for (int64_t &dilate : dilates) --dilate;  // oneDNN counts the voxels left out between two taps

  dnnl_primitive_desc *forward = nullptr;
  check(dnnl_convolution_forward_primitive_desc_create(
            &forward, engine(), kForwardTraining, kConvolutionDirect, x.get(), packed.get(), nullptr, y.get(),
            problem.strides.data(), dilates.data(), problem.padding.data(), high.data(), attributes(problem.bfloat16)),
        "convolution");
  if (kind == kForward) {
    return {std::make_unique<Call>(forward, std::vector<Call::Operand>{
        {kArgSrc, x, false}, {kArgWeights, weights, false}, {kArgDst, y, true}})};
  }
  std::unique_ptr<dnnl_primitive_desc, int (*)(dnnl_primitive_desc *)> hint(forward, dnnl_primitive_desc_destroy);
  dnnl_primitive_desc *desc = nullptr;
  if (kind == kData) {
    check(dnnl_convolution_backward_data_primitive_desc_create(
              &desc, engine(), kConvolutionDirect, x.get(), packed.get(), y.get(), problem.strides.data(),
              dilates.data(), problem.padding.data(), high.data(), forward, attributes(problem.bfloat16)),
          "convolution, gradient of the input");
    return {std::make_unique<Call>(desc, std::vector<Call::Operand>{
        {kArgDiffDst, y, false}, {kArgWeights, weights, false}, {kArgDiffSrc, x, true}})};
  }
  check(dnnl_convolution_backward_weights_primitive_desc_create(
            &desc, engine(), kConvolutionDirect, x.get(), packed.get(), nullptr, y.get(), problem.strides.data(),
            dilates.data(), problem.padding.data(), high.data(), forward, attributes(problem.bfloat16)),
        "convolution, gradient of the weights");
  // Below AVX-512 oneDNN's code for this gradient is 3 to 10 times slower than the kernel of this project.
  if (implementation(desc).find("avx512") == std::string::npos) {
    dnnl_primitive_desc_destroy(desc);
    return {nullptr};
  }
  return {std::make_unique<Call>(desc, std::vector<Call::Operand>{
      {kArgSrc, x, false}, {kArgDiffDst, y, false}, {kArgDiffWeights, weights, true}})};
}

Prepared &prepared(const Problem &problem, Kind kind) {
  static std::map<Shape, Prepared> cache;
  const Shape key = problem.key(kind);
  auto found = cache.find(key);
  if (found == cache.end()) {
    // Bounds what a run with ever new shapes keeps. A network needs about 100 primitives per patch size.
    if (cache.size() >= 4096) cache.clear();
    found = cache.emplace(key, prepare(problem, kind)).first;
  }
  return found->second;
}

void finish_all(const Finish &finish, float *y, const Volume &shape) {
  parallel_ranges(shape.n * shape.positions(), 1024,
                  [&](int64_t begin, int64_t end) { finish.apply(y, begin, end, shape.c); });
}

}  // namespace

// x, weights, [constants, [added,]] geometry -> y
KERNEL(ConvolutionForward) {
  const int last = args.count() - 1;
  const Problem problem(args.shape(0), args.shape(1), args.shape(last), args.integers(last - 1));
  const Filters filters = problem.filters(args.floats(1), kForward);
  Finish finish;
  if (last > 3) finish = Finish(args.floats(2), args.shape(2), last > 4 ? args.floats(3) : nullptr);
  if (problem.by_winograd(filters, args.volume(last))) {
    winograd(args.floats(0), args.volume(0), filters, finish, problem.padding, args.floats(last), args.volume(last));
    return;
  }
  prepared(problem, kForward)->run({args.floats(0), args.floats(1), args.floats(last)});
  finish_all(finish, args.floats(last), args.volume(last));
}

// y, weights, [bias,] [marker,] geometry -> x: the gradient of a convolution's input, or a transposed convolution. The
// bias is told from the marker (operators.py) by its one axis.
KERNEL(ConvolutionData) {
  const int last = args.count() - 1;
  const Problem problem(args.shape(last), args.shape(1), args.shape(0), args.integers(last - 1));
  Finish finish;
  if (last == 4 && args.shape(2).size() == 1) finish = Finish(args.floats(2), args.shape(2));
  const Filters filters = problem.filters(args.floats(1), kData);
  if (problem.by_winograd(filters, args.volume(last))) {
    Shape padding = problem.padding;
    for (size_t i = 0; i < padding.size(); ++i) padding[i] = filters.taps[i] - 1 - padding[i];
    winograd(args.floats(0), args.volume(0), filters, finish, padding, args.floats(last), args.volume(last));
    return;
  }
  prepared(problem, kData)->run({args.floats(0), args.floats(1), args.floats(last)});
  finish_all(finish, args.floats(last), args.volume(last));
}

// x, y, weights (for the shape), geometry -> gradient of the weights
KERNEL(ConvolutionWeights) {
  const Problem problem(args.shape(0), args.shape(4), args.shape(1), args.integers(3));
  const Filters filters = problem.filters(args.floats(4), kWeights);
  if (problem.by_winograd(filters, args.volume(1))) {
    winograd_weights_gradient(args.floats(0), args.volume(0), args.floats(1), args.volume(1), problem.padding, filters);
    return;
  }
  const Prepared &ready = prepared(problem, kWeights);
  if (ready) {
    ready->run({args.floats(0), args.floats(1), args.floats(4)});
  } else {
    weights_gradient(args.floats(0), Volume(problem.x), args.floats(1), Volume(problem.y), problem.weights,
                     problem.strides, problem.dilations, problem.padding, args.floats(4));
  }
}
