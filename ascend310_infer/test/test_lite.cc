// What the MindSpore Lite backend asks of the API, answered by a model that doubles its images as a second class.
#include <fstream>

#include "backend.h"
#include "check.h"
#include "include/api/model.h"

using namespace kidneyseg;

namespace {

// What the next model is, and what was asked of it.
struct {
  Shape own = {-1, 1, 2};
  enum mindspore::DataType type = mindspore::DataType::kNumberTypeFloat32;
  bool fails = false, grows = false;
  std::shared_ptr<mindspore::Context> context;
  std::vector<Shape> resized;
  int calls = 0;
} model;

}  // namespace

namespace mindspore {

Status Model::Build(const std::string &, ModelType type, const std::shared_ptr<Context> &context) {
  if (type != kMindIR) return {kLiteError, "not MindIR"};
  model.context = context;
  inputs_ = {{model.type, model.own}};
  return kSuccess;
}

Status Model::Resize(const std::vector<MSTensor> &inputs, const std::vector<Shape> &dims) {
  if (inputs.size() != 1 || dims.size() != 1) return {kLiteError, "one input"};
  model.resized.push_back(dims[0]);
  inputs_ = {{model.type, dims[0]}};
  return kSuccess;
}

std::vector<MSTensor> Model::GetInputs() { return inputs_; }

Status Model::Predict(const std::vector<MSTensor> &inputs, std::vector<MSTensor> *outputs) {
  if (model.fails) return {kLiteError, "device lost"};
  ++model.calls;
  const int64_t batch = inputs[0].Shape()[0];
  const int64_t more = model.grows && model.calls > 1 ? 1 : 0;
  MSTensor output(DataType::kNumberTypeFloat32, {batch + more, 2, 2});
  const void *data = inputs[0].Data().get();
  const bool bytes = model.type == DataType::kNumberTypeUInt8;
  std::vector<float> image(static_cast<size_t>(2 * batch));
  for (size_t i = 0; i < image.size(); ++i) {
    image[i] = bytes ? static_cast<const unsigned char *>(data)[i] : static_cast<const float *>(data)[i];
  }
  auto *out = static_cast<float *>(output.MutableData());
  for (int64_t i = 0; i < 2 * batch; ++i) {
    out[i / 2 * 4 + i % 2] = image[static_cast<size_t>(i)];
    out[i / 2 * 4 + 2 + i % 2] = 2 * image[static_cast<size_t>(i)];
  }
  *outputs = {output};
  return kSuccess;
}

}  // namespace mindspore

namespace {

void computes() {
  const auto backend = open_backend({"graph.mindir", 2, "Ascend310", 3, 4});
  CHECK((model.resized == std::vector<Shape>{{2, 1, 2}}));
  CHECK((backend->input() == Shape{2, 1, 2}) && (backend->output() == Shape{2, 2, 2}));
  const std::vector<float> images = {1, 2, 3, 4};
  std::vector<float> found(8);
  backend->run(images.data(), found.data());
  CHECK((found == std::vector<float>{1, 2, 2, 4, 3, 4, 6, 8}));
  CHECK(model.calls == 2);  // one of them before the first image
}

void takes_bytes() {
  model.type = mindspore::DataType::kNumberTypeUInt8;
  const auto backend = open_backend({"graph.mindir", 2, "CPU", 0, 0});
  const std::vector<unsigned char> images = {1, 2, 3, 255};
  std::vector<float> found(8);
  backend->run(images.data(), found.data());
  CHECK(backend->input_bytes() == 1);
  CHECK((found == std::vector<float>{1, 2, 2, 4, 3, 255, 6, 510}));
  model.type = mindspore::DataType::kNumberTypeFloat32;
}

void asks_for_the_device() {
  CHECK(model.context->threads == 4 && model.context->devices.size() == 2);
  const auto ascend = std::dynamic_pointer_cast<mindspore::AscendDeviceInfo>(model.context->devices[0]);
  const auto cpu = std::dynamic_pointer_cast<mindspore::CPUDeviceInfo>(model.context->devices[1]);
  CHECK(ascend && ascend->id == 3 && ascend->precision == "preferred_fp32");
  CHECK(cpu && !cpu->fp16);
  open_backend({"graph.mindir", 1, "CPU", 0, 0});
  CHECK(model.context->devices.size() == 1 && model.context->threads == 0);
  CHECK(model.context->devices[0]->GetDeviceType() == mindspore::kCPU);
}

void keeps_a_fixed_batch() {
  model.own = {3, 1, 2};
  model.resized.clear();
  CHECK((open_backend({"graph.mindir", 0, "CPU", 0, 0})->input() == Shape{3, 1, 2}) && model.resized.empty());
}

void says_what_fails() {
  const auto error = [](const std::string &device, int64_t batch) {
    return error_of([&] { open_backend({"graph.mindir", batch, device, 0, 0}); });
  };
  CHECK(has(error("GPU", 0), "graph.mindir: expected device CPU or Ascend310, found GPU"));
  CHECK(has(error("CPU", 4), "graph.mindir: expected a graph for batches of 4, found input 3x1x2"));
  model.type = mindspore::DataType::kNumberTypeFloat16;
  CHECK(has(error("CPU", 0), "graph.mindir: expected an input of float32 or uint8"));
  model.type = mindspore::DataType::kNumberTypeFloat32;
  model.fails = true;
  CHECK(has(error("CPU", 0), "graph.mindir: MindSpore Lite cannot run the graph: device lost"));
  model.fails = false;
  model.grows = true;
  model.calls = 0;
  const auto backend = open_backend({"graph.mindir", 0, "CPU", 0, 0});
  std::vector<float> images(6), found(12);
  CHECK(has(error_of([&] { backend->run(images.data(), found.data()); }), "expected 48 bytes of output, found 64"));
}

}  // namespace

int main() {
  std::ofstream("graph.mindir") << "whatever";
  computes();
  asks_for_the_device();
  takes_bytes();
  keeps_a_fixed_batch();
  says_what_fails();
}
