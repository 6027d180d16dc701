#pragma once
#include "kernel.h"

// Gradient of a convolution's weights (Co, Ci, *K) from its channels-last input x and its output's gradient dy.
void weights_gradient(const float *x, const Volume &x_shape, const float *dy, const Volume &y_shape,
                      const Shape &weights, const Shape &strides, const Shape &dilations, const Shape &padding,
                      float *gradient);
