// MindSpore Lite's public C++ API of the 2.x packages (cloud side, which has Ascend).
#include <cstring>

#include "backend.h"
#include "error.h"
#include "include/api/context.h"
#include "include/api/data_type.h"
#include "include/api/model.h"
#include "include/api/status.h"
#include "include/api/types.h"

namespace kidneyseg {
namespace {

namespace ms = mindspore;

void require(const ms::Status &status, const std::string &what) {
  if (status != ms::kSuccess) throw Error("MindSpore Lite cannot " + what + ": " + status.ToString());
}

std::shared_ptr<ms::Context> context_of(const Settings &settings) {
  auto context = std::make_shared<ms::Context>();
  if (settings.threads > 0) context->SetThreadNum(settings.threads);
  auto &devices = context->MutableDeviceInfo();
  if (settings.device == "Ascend310") {
    auto ascend = std::make_shared<ms::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(settings.device_id));
    ascend->SetPrecisionMode("preferred_fp32");  // float16 only where the 310 has nothing else: its convolutions
    devices.push_back(ascend);
  } else if (settings.device != "CPU") {
    throw Error("expected device CPU or Ascend310, found " + settings.device);
  }
  auto cpu = std::make_shared<ms::CPUDeviceInfo>();  // behind Ascend it takes the operators that this has not
  cpu->SetEnableFP16(false);
  devices.push_back(cpu);
  return context;
}

class Lite : public Backend {
 public:
  explicit Lite(const Settings &settings) {
    require(model_.Build(settings.model, ms::kMindIR, context_of(settings)), "build the graph");
    if (model_.GetInputs().size() != 1) throw Error("expected one input");
    input_ = model_.GetInputs()[0].Shape();
    const Shape wanted = batched(input_, settings);
    if (wanted != input_) require(model_.Resize(model_.GetInputs(), {wanted}), "resize it to " + to_text(wanted));
    input_ = wanted;
    type_ = model_.GetInputs()[0].DataType();
    if (type_ != ms::DataType::kNumberTypeFloat32 && type_ != ms::DataType::kNumberTypeUInt8) {
      throw Error("expected an input of float32 or uint8");
    }
    // The first call allocates and is not to be timed; of a graph with an open batch it also tells the output's shape.
    const std::vector<float> zeros(static_cast<size_t>(elements(input_)));  // of uint8 it is more than enough
    const std::vector<ms::MSTensor> outputs = predict(zeros.data());
    output_ = outputs[0].Shape();
    if (output_.size() < 2 || output_[0] != input_[0] || elements(output_) < 1) {
      throw Error("expected an output of " + std::to_string(input_[0]) + " images, found " + to_text(output_));
    }
  }

  const Shape &input() const override { return input_; }
  const Shape &output() const override { return output_; }
  size_t input_bytes() const override { return type_ == ms::DataType::kNumberTypeUInt8 ? 1 : sizeof(float); }

  void run(const void *images, float *probabilities) override {
    const std::vector<ms::MSTensor> outputs = predict(images);
    const size_t bytes = static_cast<size_t>(elements(output_)) * sizeof(float);
    const std::shared_ptr<const void> data = outputs[0].Data();
    if (data == nullptr || outputs[0].DataSize() != bytes) {
      throw Error("MindSpore Lite: expected " + std::to_string(bytes) + " bytes of output, found " +
                  std::to_string(outputs[0].DataSize()));
    }
    std::memcpy(probabilities, data.get(), bytes);
  }

 private:
  std::vector<ms::MSTensor> predict(const void *images) {
    std::vector<ms::MSTensor> inputs = model_.GetInputs(), outputs;
    const size_t bytes = static_cast<size_t>(elements(input_)) * input_bytes();
    if (inputs[0].DataType() != type_ || inputs[0].DataSize() != bytes) {
      throw Error("expected an input of " + std::to_string(bytes) + " bytes, found " +
                  std::to_string(inputs[0].DataSize()));
    }
    void *data = inputs[0].MutableData();
    if (data == nullptr) throw Error("MindSpore Lite has no memory for the input");
    std::memcpy(data, images, bytes);
    require(model_.Predict(inputs, &outputs), "run the graph");
    if (outputs.size() != 1 || outputs[0].DataType() != ms::DataType::kNumberTypeFloat32) {
      throw Error("expected one output, of float32");
    }
    return outputs;
  }

  ms::Model model_;
  Shape input_, output_;
  ms::DataType type_ = ms::DataType::kNumberTypeFloat32;
};

}  // namespace

std::unique_ptr<Backend> open_lite(const Settings &settings) {
  try {
    return std::make_unique<Lite>(settings);
  } catch (const Error &error) {
    throw Error(settings.model + ": " + error.what());
  }
}

}  // namespace kidneyseg
