#include <openvino/openvino.hpp>
#include <sstream>

#include "backend.h"
#include "error.h"

namespace kidneyseg {
namespace {

Shape shape_of(const ov::PartialShape &partial) {
  if (partial.rank().is_dynamic()) throw Error("expected a known number of axes");
  Shape shape;
  for (const ov::Dimension &length : partial) shape.push_back(length.is_dynamic() ? -1 : length.get_length());
  return shape;
}

// What OpenVINO says over many lines, in one.
std::string message(const ov::Exception &error) {
  std::istringstream words(error.what());
  std::string text = "OpenVINO:";
  for (std::string word; words >> word;) text += ' ' + word;
  return text;
}

std::shared_ptr<ov::Model> read(ov::Core &core, const Settings &settings) {
  auto model = core.read_model(settings.model);
  if (model->inputs().size() != 1 || model->outputs().size() != 1) throw Error("expected one input and one output");
  const ov::element::Type in = model->input().get_element_type();
  if ((in != ov::element::f32 && in != ov::element::u8) || model->output().get_element_type() != ov::element::f32) {
    throw Error("expected float32 or uint8 in and float32 out");
  }
  const Shape wanted = batched(shape_of(model->input().get_partial_shape()), settings);
  model->reshape(ov::PartialShape(std::vector<ov::Dimension>(wanted.begin(), wanted.end())));
  return model;
}

class OpenVino : public Backend {
 public:
  explicit OpenVino(const Settings &settings) {
    if (settings.device != "CPU") throw Error("expected device CPU for this graph, found " + settings.device);
    // float32 where the CPU could do bfloat16, too: masks are to be those of the network as it was trained and scored.
    ov::AnyMap properties = {ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                             ov::hint::inference_precision(ov::element::f32)};
    if (settings.threads > 0) properties.insert(ov::inference_num_threads(settings.threads));
    ov::Core core;
    ov::CompiledModel compiled = core.compile_model(read(core, settings), "CPU", properties);
    input_ = shape_of(compiled.input().get_partial_shape());
    output_ = shape_of(compiled.output().get_partial_shape());
    type_ = compiled.input().get_element_type();
    for (int64_t length : output_) {
      if (length < 0) throw Error("expected an output of a known shape, found " + to_text(output_));
    }
    request_ = compiled.create_infer_request();
    request_.infer();  // the first call allocates: not to be timed
  }

  const Shape &input() const override { return input_; }
  const Shape &output() const override { return output_; }
  size_t input_bytes() const override { return type_.size(); }

  void run(const void *images, float *probabilities) override {
    try {
      request_.set_input_tensor(ov::Tensor(type_, lengths(input_), const_cast<void *>(images)));
      request_.set_output_tensor(ov::Tensor(ov::element::f32, lengths(output_), probabilities));
      request_.infer();
    } catch (const ov::Exception &error) {
      throw Error(message(error));
    }
  }

 private:
  static ov::Shape lengths(const Shape &shape) { return ov::Shape(shape.begin(), shape.end()); }

  Shape input_, output_;
  ov::element::Type type_;
  ov::InferRequest request_;
};

}  // namespace

std::unique_ptr<Backend> open_openvino(const Settings &settings) {
  try {
    return std::make_unique<OpenVino>(settings);
  } catch (const ov::Exception &error) {
    throw Error(settings.model + ": " + message(error));
  } catch (const Error &error) {
    throw Error(settings.model + ": " + error.what());
  }
}

}  // namespace kidneyseg
