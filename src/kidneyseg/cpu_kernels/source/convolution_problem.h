// The description of one convolution, and the oneDNN primitives for it.
#pragma once
#include "onednn.h"

namespace kidneyseg {

enum Propagation { kForward, kBackwardData, kBackwardWeights };

// Shapes x (N, Ci, *S), weights (Co, Ci, *K), y (N, Co, *S'); the other members have one entry per spatial axis.
struct ConvolutionProblem {
  Shape x, weights, y, strides, dilations, padding;  // padding at the low end
  bool bfloat16;

  // `geometry` is an int64 tensor (convolution_operators.py: geometry): strides, dilations, padding, each with one
  // entry per spatial axis, and whether oneDNN may round what it multiplies to bfloat16 (1 or 0). Sums are float32.
  ConvolutionProblem(const Tensor &x_tensor, const Tensor &weights_tensor, const Tensor &y_tensor,
                     const Tensor &geometry);

  // At the high end, as the size of y requires. Negative where a stride leaves voxels of x unused.
  Shape padding_high() const;
};

// The primitive, made at first use. Null where oneDNN has no fast implementation of kBackwardWeights for this CPU.
// Operands: x, weights, y; y, weights, x; x, y, weights; the last one is the output.
Primitive *convolution_primitive(const ConvolutionProblem &problem, Propagation propagation);

}  // namespace kidneyseg
