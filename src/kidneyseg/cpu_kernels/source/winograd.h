// Convolutions with kernels of 3 at stride 1, with a half to an eighth of the products that a product per tap takes.
#pragma once
#include "epilogue.h"
#include "kernel.h"

// Weights (outputs, inputs, *taps) as a convolution sees them, whatever their order in memory.
struct Filters {
  float *values;
  int64_t outputs, inputs, output_step, input_step;
  Shape taps;      // per spatial axis
  bool backwards;  // the last tap first
};

// Whether the functions below can compute this convolution, and in less time than one with a product per tap.
bool winograd_pays(const Volume &y, const Filters &filters, const Shape &strides, const Shape &dilations);

// y = filters * x, finished, for activations x (N, inputs, *S), channels-last as y is. `padding` per spatial axis: zeros
// before the first voxel; behind the last, as many as y needs.
void winograd(const float *x, const Volume &x_shape, const Filters &filters, const Finish &finish, const Shape &padding,
              float *y, const Volume &y_shape);

// The gradient of the filters, written to their values, where that of y is dy.
void winograd_weights_gradient(const float *x, const Volume &x_shape, const float *dy, const Volume &y_shape,
                               const Shape &padding, const Filters &filters);
