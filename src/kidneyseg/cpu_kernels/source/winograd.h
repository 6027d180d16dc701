// Convolutions with kernels of 3 at stride 1 by Winograd's minimal filtering (winograd_transform.h), with a half to an
// eighth of the products that one product per tap takes.
#pragma once
#include "epilogue.h"
#include "kernel.h"

namespace kidneyseg {

// Weights (outputs, inputs, *taps) as a convolution sees them. The strides in memory may be those of (inputs, outputs,
// *taps).
struct Filters {
  float *values;
  int64_t outputs, inputs, output_stride, input_stride;
  Shape taps;     // per spatial axis
  bool reversed;  // the last tap is first in memory
};

// Whether the functions below can compute the convolution, and faster than with one product per tap.
bool winograd_is_faster(const Volume &y, const Filters &filters, const Shape &strides, const Shape &dilations);

// x (N, inputs, *S) -> y (N, outputs, *S'), both channels-last. `padding` per spatial axis: zeros at the low end; at
// the high end there are as many as the size of y requires.
void winograd_convolution(const Tensor &x, const Filters &filters, const Shape &padding, const Tensor &y,
                          const Epilogue &epilogue);

// Writes the gradient of the filters to filters.values.
void winograd_weights_gradient(const Tensor &x, const Tensor &dy, const Shape &padding, const Filters &filters);

}  // namespace kidneyseg
