#pragma once
#include "convolution_problem.h"

namespace kidneyseg {

// Writes the gradient of a convolution's weights (Co, Ci, *K) for channels-last x (N, Ci, *S) and dy (N, Co, *S').
void weights_gradient(const Tensor &x, const Tensor &dy, const ConvolutionProblem &problem, float *gradient);

}  // namespace kidneyseg
