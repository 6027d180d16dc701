// Convolution, transposed convolution, and their gradients: by Winograd's minimal filtering where that is faster
// (winograd.h), else by oneDNN.
//
// A transposed convolution is the gradient of a convolution's input, so that its weights are (Ci, Co, *K) and its
// gradients are a convolution and the gradient of the convolution's weights.
//
// Layouts: activations channels-last, weights as their shape says. `geometry`: see convolution_problem.h.
#include "channel_sums.h"
#include "convolution_problem.h"
#include "weights_gradient.h"
#include "winograd.h"

namespace kidneyseg {
namespace {

// The weights as a forward convolution sees them. For the gradient of the input that is the convolution of dy with the
// taps reversed, and inputs and outputs exchanged.
Filters make_filters(const ConvolutionProblem &problem, const Tensor &weights, Propagation propagation) {
  const Shape &shape = problem.weights;
  const Shape taps(shape.begin() + 2, shape.end());
  int64_t count = 1;
  for (const int64_t length : taps) count *= length;
  if (propagation != kBackwardData) {
    return {weights.floats(), shape[0], shape[1], shape[1] * count, count, taps, false};
  }
  return {weights.floats(), shape[1], shape[0], count, shape[1] * count, taps, true};
}

bool uses_winograd(const ConvolutionProblem &problem, const Filters &filters, const Volume &result) {
  return !problem.bfloat16 && winograd_is_faster(result, filters, problem.strides, problem.dilations);
}

void apply_epilogue(const Epilogue &epilogue, const Tensor &y) {
  const Volume shape = y.volume();
  parallel_ranges(shape.n * shape.positions(), 1024,
                  [&](int64_t begin, int64_t end) { epilogue.apply(y.floats(), begin, end, shape.c); });
}

// x, weights -> y
void convolve(const Tensor &x, const Tensor &weights, const Tensor &geometry, const Tensor &y,
              const Epilogue &epilogue) {
  const ConvolutionProblem problem(x, weights, y, geometry);
  const Filters filters = make_filters(problem, weights, kForward);
  if (uses_winograd(problem, filters, y.volume())) {
    winograd_convolution(x, filters, problem.padding, y, epilogue);
    return;
  }
  convolution_primitive(problem, kForward)->run({x.floats(), weights.floats(), y.floats()});
  apply_epilogue(epilogue, y);
}

// y, weights -> x, for y and x of the convolution whose input's gradient this is
void convolve_transposed(const Tensor &y, const Tensor &weights, const Tensor &geometry, const Tensor &x,
                         const Epilogue &epilogue) {
  const ConvolutionProblem problem(x, weights, y, geometry);
  const Filters filters = make_filters(problem, weights, kBackwardData);
  if (uses_winograd(problem, filters, x.volume())) {
    Shape padding = problem.padding;
    for (size_t i = 0; i < padding.size(); ++i) padding[i] = filters.taps[i] - 1 - padding[i];
    winograd_convolution(y, filters, padding, x, epilogue);
    return;
  }
  convolution_primitive(problem, kBackwardData)->run({y.floats(), weights.floats(), x.floats()});
  apply_epilogue(epilogue, x);
}

}  // namespace

KERNEL(ConvolutionForward) {
  enum { kX, kWeights, kGeometry, kY };
  convolve(args[kX], args[kWeights], args[kGeometry], args[kY], Epilogue());
}

KERNEL(ConvolutionBiasForward) {
  enum { kX, kWeights, kBias, kGeometry, kY };
  convolve(args[kX], args[kWeights], args[kGeometry], args[kY], Epilogue::with_bias(args[kBias]));
}

// epilogue (3, Co): see epilogue.h
KERNEL(ConvolutionEpilogueForward) {
  enum { kX, kWeights, kEpilogue, kGeometry, kY };
  convolve(args[kX], args[kWeights], args[kGeometry], args[kY], Epilogue::with_constants(args[kEpilogue]));
}

// The epilogue is that of the convolution's sums plus `addend`, which has the shape of y.
KERNEL(ConvolutionAddEpilogueForward) {
  enum { kX, kWeights, kEpilogue, kAddend, kGeometry, kY };
  convolve(args[kX], args[kWeights], args[kGeometry], args[kY],
           Epilogue::with_addend(args[kEpilogue], args[kAddend]));
}

// `marker` is for MindSpore, which derives the shape of dx from it (convolution_operators.py).
KERNEL(ConvolutionBackwardData) {
  enum { kDy, kWeights, kMarker, kGeometry, kDx };
  convolve_transposed(args[kDy], args[kWeights], args[kGeometry], args[kDx], Epilogue());
}

// Of `weights` only the shape is used.
KERNEL(ConvolutionBackwardWeights) {
  enum { kX, kDy, kWeights, kGeometry, kDweights };
  const Tensor x = args[kX], dy = args[kDy], dweights = args[kDweights];
  const ConvolutionProblem problem(x, dweights, dy, args[kGeometry]);
  const Filters filters = make_filters(problem, dweights, kBackwardWeights);
  if (uses_winograd(problem, filters, dy.volume())) {
    winograd_weights_gradient(x, dy, problem.padding, filters);
    return;
  }
  Primitive *primitive = convolution_primitive(problem, kBackwardWeights);
  if (primitive != nullptr) {
    primitive->run({x.floats(), dy.floats(), dweights.floats()});
  } else {
    weights_gradient(x, dy, problem, dweights.floats());
  }
}

// The gradient of the bias of either convolution: sums of dy per channel.
KERNEL(ConvolutionBackwardBias) {
  enum { kDy, kDbias };
  const Volume shape = args[kDy].volume();
  const float *dy = args[kDy].floats();
  float *dbias = args[kDbias].floats();
  const Sums sums = sum_groups(1, shape.n * shape.positions(), shape.c, [&](int64_t) {
    return [=](int64_t i, int64_t, float &sum, float &) { sum += dy[i]; };
  });
  for (int64_t c = 0; c < shape.c; ++c) dbias[c] = static_cast<float>(sums.first[c]);
}

KERNEL(TransposedConvolutionForward) {
  enum { kX, kWeights, kGeometry, kY };
  convolve_transposed(args[kX], args[kWeights], args[kGeometry], args[kY], Epilogue());
}

KERNEL(TransposedConvolutionBiasForward) {
  enum { kX, kWeights, kBias, kGeometry, kY };
  convolve_transposed(args[kX], args[kWeights], args[kGeometry], args[kY], Epilogue::with_bias(args[kBias]));
}

}  // namespace kidneyseg
