// The OpenVINO backend on a graph made here: softmax over (x, 2 x), any batch or two.
#include <cmath>
#include <openvino/opsets/opset8.hpp>
#include <openvino/openvino.hpp>

#include "backend.h"
#include "check.h"

using namespace kidneyseg;

namespace {

std::string save_graph(const std::string &name, const ov::PartialShape &shape, ov::element::Type type) {
  using namespace ov::opset8;
  auto given = std::make_shared<Parameter>(type, shape);
  auto image = std::make_shared<Convert>(given, ov::element::f32);
  auto doubled = std::make_shared<Add>(image, image);
  auto both = std::make_shared<Concat>(ov::OutputVector{image, doubled}, 1);
  auto result = std::make_shared<Result>(std::make_shared<Softmax>(both, 1));
  ov::serialize(std::make_shared<ov::Model>(ov::ResultVector{result}, ov::ParameterVector{given}), name);
  return name;
}

void takes_bytes(const Settings &settings) {
  const auto backend = open_backend(settings);
  CHECK(backend->input_bytes() == 1);
  const std::vector<unsigned char> images = {0, 1, 255};
  std::vector<float> found(6);
  backend->run(images.data(), found.data());
  for (size_t i = 0; i < images.size(); ++i) {
    CHECK(std::abs(found[3 + i] - 1 / (1 + std::exp(-static_cast<float>(images[i])))) < 1e-5f);
  }
}

void computes(const Settings &settings, int64_t batch) {
  const auto backend = open_backend(settings);
  CHECK((backend->input() == Shape{batch, 1, 3}) && (backend->output() == Shape{batch, 2, 3}));
  for (float offset : {0.0f, 1.0f}) {
    std::vector<float> images(static_cast<size_t>(3 * batch)), found(images.size() * 2);
    for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i) / 4 - offset;
    backend->run(images.data(), found.data());
    for (size_t i = 0; i < images.size(); ++i) {
      const float second = found[i / 3 * 6 + 3 + i % 3];
      CHECK(std::abs(second - 1 / (1 + std::exp(-images[i]))) < 1e-5f);  // e^2x / (e^x + e^2x)
    }
  }
}

}  // namespace

int main() {
  const std::string any = save_graph("any.xml", {-1, 1, 3}, ov::element::f32);
  const std::string two = save_graph("two.xml", {2, 1, 3}, ov::element::f32);
  takes_bytes({save_graph("bytes.xml", {-1, 1, 3}, ov::element::u8), 1, "CPU", 0, 0});
  computes({any, 0, "CPU", 0, 0}, 1);
  computes({any, 5, "CPU", 0, 1}, 5);
  computes({two, 0, "CPU", 0, 0}, 2);
  const auto error = [](const Settings &settings) { return error_of([&] { open_backend(settings); }); };
  CHECK(has(error({two, 3, "CPU", 0, 0}), "two.xml: expected a graph for batches of 3, found input 2x1x3"));
  const std::string wide = save_graph("wide.xml", {1, 1, -1}, ov::element::f32);
  CHECK(has(error({wide, 1, "CPU", 0, 0}), "wide.xml: expected only the batch to be open, found input 1x1x?"));
  CHECK(has(error({two, 0, "Ascend310", 0, 0}), "two.xml: expected device CPU"));
  CHECK(has(error({"none.xml", 0, "CPU", 0, 0}), "none.xml: expected a graph, found none there"));
}
