// All that is around a network, with a backend that doubles.
#include <limits>

#include "check.h"
#include "pipeline.h"
#include "tensors.h"

using namespace kidneyseg;

namespace {

// (3, 1, 2) -> (3, 2, 2): the image, and the image doubled; throws at the call numbered `fails_at`.
class Doubling : public Backend {
 public:
  explicit Doubling(int fails_at = 0, bool bytes = false) : fails_at_(fails_at), bytes_(bytes) {}
  const Shape &input() const override { return input_; }
  const Shape &output() const override { return output_; }
  size_t input_bytes() const override { return bytes_ ? 1 : sizeof(float); }
  void run(const void *data, float *probabilities) override {
    if (++calls == fails_at_) throw Error("the device is gone");
    std::vector<float> images(6);
    for (size_t i = 0; i < images.size(); ++i) {
      images[i] = bytes_ ? static_cast<const unsigned char *>(data)[i] : static_cast<const float *>(data)[i];
    }
    last = images;
    for (int n = 0; n < 3; ++n) {
      for (int i = 0; i < 2; ++i) {
        probabilities[4 * n + i] = images[2 * n + i];
        probabilities[4 * n + 2 + i] = 2 * images[2 * n + i];
      }
    }
  }
  int calls = 0;
  std::vector<float> last;

 private:
  const Shape input_{3, 1, 2}, output_{3, 2, 2};
  int fails_at_;
  const bool bytes_;
};

Manifest make(const std::filesystem::path &folder, int tensors) {
  Manifest manifest{folder, {}, {}};
  for (int i = 0; i < tensors; ++i) {
    const auto value = static_cast<float>(i);
    manifest.entries.push_back(
        save_tensor(folder, "case/" + std::to_string(i) + ".bin", {1, 2}, {value, value + 0.5f}));
  }
  return manifest;
}

void computes_all() {
  const auto folder = empty_folder("computes_all");
  const Manifest manifest = make(folder / "in", 40);
  Doubling backend;
  const Outcome outcome = run_all(manifest, backend, folder / "out");
  CHECK(outcome.faults.empty() && outcome.results.size() == 40);
  CHECK(backend.calls == 14 && outcome.batch_ms.size() == 14 && outcome.seconds > 0);
  CHECK((backend.last == std::vector<float>{39, 39.5, 0, 0, 0, 0}));  // the last batch is filled up with zeros
  for (int i = 0; i < 40; ++i) {
    const Entry &result = outcome.results[i];
    const auto value = static_cast<float>(i);
    CHECK(result.name == manifest.entries[i].name && (result.shape == Shape{2, 2}));
    CHECK((load_tensor(folder / "out", result) == std::vector<float>{value, value + 0.5f, 2 * value, 2 * value + 1}));
  }
}

void computes_bytes() {
  const auto folder = empty_folder("bytes");
  Manifest manifest{folder / "in", {}, {}};
  for (unsigned char i = 0; i < 4; ++i) {
    const unsigned char values[2] = {i, static_cast<unsigned char>(255 - i)};
    const std::string name = std::to_string(i) + ".bin";
    write_file(folder / "in" / name, values, sizeof values);
    manifest.entries.push_back({name, {1, 2}, sha256(values, sizeof values)});
  }
  Doubling backend(0, true);
  const Outcome outcome = run_all(manifest, backend, folder / "out");
  CHECK(outcome.results.size() == 4 && outcome.faults.empty() && backend.calls == 2);
  CHECK((load_tensor(folder / "out", outcome.results[2]) == std::vector<float>{2, 253, 4, 506}));
}

void leaves_out_what_is_bad() {
  const auto folder = empty_folder("leaves_out");
  Manifest manifest = make(folder / "in", 7);
  manifest.entries[0].name = "none.bin";
  manifest.entries[2].sha256 = std::string(64, '0');
  manifest.entries[3].shape = {2, 1};
  manifest.entries[5] = save_tensor(folder / "in", "nan.bin", {1, 2}, {0, std::numeric_limits<float>::quiet_NaN()});
  Doubling backend;
  const Outcome outcome = run_all(manifest, backend, folder / "out");
  CHECK(backend.calls == 2);  // the good ones move up
  CHECK(outcome.results.size() == 3 && outcome.results[1].name == "case/4.bin");
  CHECK((load_tensor(folder / "out", outcome.results[2]) == std::vector<float>{6, 6.5, 12, 13}));
  CHECK(outcome.faults.size() == 4);
  CHECK(outcome.faults[0].subject == "none.bin" && has(outcome.faults[1].message, "SHA-256"));
  CHECK(has(outcome.faults[2].message, "expected shape 1x2, which the graph takes, found 2x1"));
  CHECK(outcome.faults[3].subject == "nan.bin" && has(outcome.faults[3].message, "finite"));
  CHECK(!std::filesystem::exists(folder / "out" / "nan.bin"));
}

void refuses_a_graph_of_another_shape() {
  const auto folder = empty_folder("refuses");
  Manifest manifest = make(folder / "in", 2);
  for (Entry &entry : manifest.entries) entry.shape = {2, 1};
  Doubling backend;
  const std::string error = error_of([&] { run_all(manifest, backend, folder / "out"); });
  CHECK(has(error, "1x2") && has(error, "case/0.bin of 2x1") && backend.calls == 0);
  manifest.entries.clear();
  const Outcome nothing = run_all(manifest, backend, folder / "out");
  CHECK(nothing.results.empty() && nothing.faults.empty());
}

void ends_when_one_part_fails() {
  const auto folder = empty_folder("ends");
  const Manifest manifest = make(folder / "in", 60);
  Doubling failing(2);
  CHECK(error_of([&] { run_all(manifest, failing, folder / "out"); }) == "the device is gone");
  write_file(folder / "file", "", 0);
  Doubling backend;
  CHECK(has(error_of([&] { run_all(manifest, backend, folder / "file"); }), "cannot write"));
  CHECK(backend.calls < 20);  // it does not go on for nothing
}

void refuses_graphs_it_cannot_open() {
  const auto batch = [](const Shape &own, int64_t wanted) { return batched(own, {"g", wanted, "CPU", 0, 0}); };
  CHECK((batch({-1, 1, 2}, 0) == Shape{1, 1, 2}) && (batch({-1, 1, 2}, 4) == Shape{4, 1, 2}));
  CHECK((batch({3, 1, 2}, 0) == Shape{3, 1, 2}) && (batch({3, 1, 2}, 3) == Shape{3, 1, 2}));
  CHECK(has(error_of([&] { batch({3, 1, 2}, 4); }), "batches of 4, found input 3x1x2"));
  CHECK(has(error_of([&] { batch({3, -1, 2}, 3); }), "found input 3x?x2"));
  CHECK(has(error_of([&] { batch({}, 3); }), "a number"));
  CHECK(has(error_of([&] { open_backend({"graph.pt", 0, "CPU", 0, 0}); }), "graph.pt"));
}

}  // namespace

int main() {
  computes_all();
  computes_bytes();
  leaves_out_what_is_bad();
  refuses_a_graph_of_another_shape();
  ends_when_one_part_fails();
  refuses_graphs_it_cannot_open();
}
