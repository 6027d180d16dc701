#include "convolution_problem.h"

#include <map>

namespace kidneyseg {
namespace {

using DescPtr = std::unique_ptr<dnnl_primitive_desc, int (*)(dnnl_primitive_desc *)>;

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

std::unique_ptr<Primitive> make_primitive(const ConvolutionProblem &problem, Propagation propagation) {
  const MemoryDesc x = channels_last_layout(problem.x), y = channels_last_layout(problem.y);
  const MemoryDesc weights = row_major_layout(problem.weights), any_weights = any_layout(problem.weights);
  const Shape high = problem.padding_high();
  Shape dilates = problem.dilations;
  for (int64_t &dilate : dilates) --dilate;  // oneDNN counts the voxels between two taps

  dnnl_primitive_desc *desc = nullptr;
  check(dnnl_convolution_forward_primitive_desc_create(
            &desc, engine(), kForwardTraining, kConvolutionDirect, x.get(), any_weights.get(), nullptr, y.get(),
            problem.strides.data(), dilates.data(), problem.padding.data(), high.data(), attributes(problem.bfloat16)),
        "convolution");
  if (propagation == kForward) {
    return std::make_unique<Primitive>(desc, std::vector<Primitive::Operand>{
        {kArgSrc, x, false}, {kArgWeights, weights, false}, {kArgDst, y, true}});
  }
  const DescPtr forward(desc, dnnl_primitive_desc_destroy);  // a hint for the gradients
  if (propagation == kBackwardData) {
    check(dnnl_convolution_backward_data_primitive_desc_create(
              &desc, engine(), kConvolutionDirect, x.get(), any_weights.get(), y.get(), problem.strides.data(),
              dilates.data(), problem.padding.data(), high.data(), forward.get(), attributes(problem.bfloat16)),
          "convolution, gradient of the input");
    return std::make_unique<Primitive>(desc, std::vector<Primitive::Operand>{
        {kArgDiffDst, y, false}, {kArgWeights, weights, false}, {kArgDiffSrc, x, true}});
  }
  check(dnnl_convolution_backward_weights_primitive_desc_create(
            &desc, engine(), kConvolutionDirect, x.get(), any_weights.get(), nullptr, y.get(), problem.strides.data(),
            dilates.data(), problem.padding.data(), high.data(), forward.get(), attributes(problem.bfloat16)),
        "convolution, gradient of the weights");
  // Below AVX-512, oneDNN's implementations of this gradient are 3 to 10 times slower than weights_gradient.cc.
  if (implementation(desc).find("avx512") == std::string::npos) {
    dnnl_primitive_desc_destroy(desc);
    return nullptr;
  }
  return std::make_unique<Primitive>(desc, std::vector<Primitive::Operand>{
      {kArgSrc, x, false}, {kArgDiffDst, y, false}, {kArgDiffWeights, weights, true}});
}

Shape cache_key(const ConvolutionProblem &problem, Propagation propagation) {
  Shape key = {propagation, problem.bfloat16};
  for (const Shape *part :
       {&problem.x, &problem.weights, &problem.y, &problem.strides, &problem.dilations, &problem.padding}) {
    key.insert(key.end(), part->begin(), part->end());
  }
  return key;
}

}  // namespace

ConvolutionProblem::ConvolutionProblem(const Tensor &x_tensor, const Tensor &weights_tensor, const Tensor &y_tensor,
                                       const Tensor &geometry)
    : x(x_tensor.shape()), weights(weights_tensor.shape()), y(y_tensor.shape()) {
  const size_t axes = x.size() - 2;
  const int64_t *values = geometry.integers();
  strides.assign(values, values + axes);
  dilations.assign(values + axes, values + 2 * axes);
  padding.assign(values + 2 * axes, values + 3 * axes);
  bfloat16 = values[3 * axes] != 0;
}

Shape ConvolutionProblem::padding_high() const {
  Shape high(padding.size());
  for (size_t i = 0; i < high.size(); ++i) {
    const int64_t extent = (y[i + 2] - 1) * strides[i] + (weights[i + 2] - 1) * dilations[i] + 1;
    high[i] = extent - x[i + 2] - padding[i];
  }
  return high;
}

Primitive *convolution_primitive(const ConvolutionProblem &problem, Propagation propagation) {
  static std::map<Shape, std::unique_ptr<Primitive>> cache;
  const Shape key = cache_key(problem, propagation);
  auto found = cache.find(key);
  if (found == cache.end()) {
    // Bounds the memory of a run with ever new shapes. A network needs about 100 primitives per patch size.
    if (cache.size() >= 4096) cache.clear();
    found = cache.emplace(key, make_primitive(problem, propagation)).first;
  }
  return found->second.get();
}

}  // namespace kidneyseg
