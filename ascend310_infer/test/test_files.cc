// Hashes, shapes, manifests and tensor files.
#include <fstream>

#include "check.h"
#include "files.h"
#include "manifest.h"
#include "options.h"
#include "sha256.h"
#include "timing.h"

using namespace kidneyseg;

namespace {

std::string hash(const std::string &text) { return sha256(text.data(), text.size()); }

// Examples of FIPS 180-4's authors (NIST), and lengths on both sides of where the padding takes another block.
void hashes() {
  CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hash(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(hash(std::string(55, 'a')) == "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  CHECK(hash(std::string(64, 'a')) == "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

void shapes() {
  CHECK((shape_from("1x80x160") == Shape{1, 80, 160}));
  CHECK(to_text({1, -1, 3}) == "1x?x3");
  CHECK(elements({2, 3, 4}) == 24);
  for (const char *bad : {"", "x", "1x", "0", "-1", "1x2.5", "a", "99999999999999", "1099511627776x2"}) {
    CHECK(has(error_of([&] { shape_from(bad); }), "expected a shape"));
  }
}

void manifests() {
  const auto folder = empty_folder("manifests");
  const std::string digest(64, 'a');
  const std::string good = digest + " 1x2 a case/0 0.bin\n";
  std::ofstream(folder / "m.txt") << "# words\n\n"
                                  << good << digest << " 1x2\n"                // 4: no name
                                  << digest.substr(1) << " 1x2 b.bin\n"        // 5: digest too short
                                  << digest << " 1xtwo b.bin\n"                // 6: no shape
                                  << digest << " 1x2 ../b.bin\n"               // 7: outside
                                  << digest << " 1x2 /b.bin\n"                 // 8: outside
                                  << good << digest << " 3 last.bin";          // 9: twice
  const Manifest manifest = read_manifest(folder / "m.txt");
  CHECK(manifest.entries.size() == 2 && manifest.folder == folder);
  CHECK(manifest.entries[0].name == "a case/0 0.bin" && (manifest.entries[0].shape == Shape{1, 2}));
  CHECK(manifest.entries[1].name == "last.bin" && manifest.entries[1].sha256 == digest);
  CHECK(manifest.faults.size() == 6);
  for (int i = 0; i < 6; ++i) CHECK(has(manifest.faults[i].subject, "m.txt, line " + std::to_string(4 + i)));
  CHECK(has(manifest.faults[5].message, "once"));
  CHECK(has(error_of([&] { read_manifest(folder / "none.txt"); }), "none.txt"));
  CHECK(has(error_of([&] { read_manifest(folder); }), "manifest"));

  write_manifest(folder / "new" / "m.txt", manifest.entries);
  const Manifest again = read_manifest(folder / "new" / "m.txt");
  CHECK(again.faults.empty() && again.entries.size() == 2);
  CHECK(again.entries[0].name == manifest.entries[0].name && again.entries[0].shape == manifest.entries[0].shape);
}

void tensors() {
  const auto folder = empty_folder("tensors");
  const float values[3] = {1, 2, 3};
  write_file(folder / "sub" / "t.bin", values, sizeof values);
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "sub"), {}) == 1);  // nothing temporary stays
  Entry entry{"sub/t.bin", {3}, sha256(values, sizeof values)};
  float found[3] = {};
  read_tensor(folder, entry, sizeof(float), found);
  CHECK(found[0] == 1 && found[2] == 3);
  const auto fault = [&](const Entry &bad) { return error_of([&] { read_tensor(folder, bad, sizeof(float), found); }); };
  CHECK(has(fault({"none.bin", {3}, entry.sha256}), "found none"));
  CHECK(has(fault({"sub", {3}, entry.sha256}), "found none"));
  CHECK(has(fault({entry.name, {2}, entry.sha256}), "expected 8 bytes (2 float32), found 12"));
  CHECK(has(fault({entry.name, {3}, std::string(64, '0')}), "found " + entry.sha256));
  const unsigned char grey[3] = {0, 7, 255};
  write_file(folder / "grey.bin", grey, sizeof grey);
  unsigned char seen[3] = {};
  read_tensor(folder, {"grey.bin", {3}, sha256(grey, sizeof grey)}, 1, seen);
  CHECK(seen[1] == 7 && seen[2] == 255);
  CHECK(has(error_of([&] { read_tensor(folder, entry, 1, seen); }), "expected 3 bytes (3 uint8), found 12"));
  write_file(folder / "file", values, 4);
  CHECK(has(error_of([&] { write_file(folder / "file" / "t.bin", values, 4); }), "cannot write"));
}

void timings() {
  std::vector<double> values;
  for (int i = 100; i > 0; --i) values.push_back(i);
  const Timing timing = summarise(values);
  CHECK(timing.mean == 50.5 && timing.p50 == 50 && timing.p99 == 99);
  CHECK(summarise({7}).p50 == 7 && summarise({7}).p99 == 7 && summarise({}).mean == 0);
  const auto folder = empty_folder("timings");
  write_timing(folder / "t.txt", {2, 4}, 8, 9, 0.5);
  std::ifstream stream(folder / "t.txt");
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  CHECK(text == "batches 2\nbatch_size 8\ntensors 9\nmean_ms 3\np50_ms 2\np99_ms 4\nseconds 0.5\n");
}

void options() {
  const auto found = parse({"--model", "m.onnx", "--manifest", "a/m.txt", "--out", "o", "--batch", "4", "--device-id",
                            "0", "--device", "Ascend310", "--threads", "2", "--timing", "t"});
  CHECK(found && found->settings.model == "m.onnx" && found->settings.batch == 4 && found->settings.threads == 2);
  CHECK(found->settings.device == "Ascend310" && found->manifest == "a/m.txt" && found->timing == "t");
  CHECK(!parse({"--help"}));
  CHECK(has(error_of([] { parse({"--model", "m"}); }), "--manifest"));
  CHECK(has(error_of([] { parse({"--modle", "m"}); }), "--modle: no such option"));
  CHECK(has(error_of([] { parse({"--model"}); }), "--model: expected a value"));
  for (const char *bad : {"0", "-1", "x", "1.5", "9999999999"}) {
    const std::string error = error_of([&] { parse({"--batch", bad}); });
    CHECK(error == std::string("--batch: expected a whole number from 1, found ") + bad);
  }
}

}  // namespace

int main() {
  hashes();
  shapes();
  manifests();
  tensors();
  timings();
  options();
}
