#include <filesystem>
#include <iostream>

#include "error.h"
#include "files.h"
#include "options.h"
#include "pipeline.h"
#include "timing.h"

namespace {

int run(const kidneyseg::Options &options) {
  using namespace kidneyseg;
  const Manifest manifest = read_manifest(options.manifest);
  const std::filesystem::path out = options.out, listed = out / "manifest.txt";
  std::error_code failed;
  std::filesystem::create_directories(out, failed);
  if (std::filesystem::equivalent(out, std::filesystem::absolute(options.manifest).parent_path(), failed)) {
    throw Error(options.out + ": expected another folder than that of the tensors");
  }
  std::filesystem::remove(listed, failed);  // results of an earlier run must not pass for ours
  const std::unique_ptr<Backend> backend = open_backend(options.settings);
  const Outcome outcome = run_all(manifest, *backend, out);
  write_manifest(listed, outcome.results);
  if (!options.timing.empty()) {
    write_timing(options.timing, outcome.batch_ms, backend->input()[0], static_cast<int64_t>(outcome.results.size()),
                 outcome.seconds);
  }
  for (const auto *faults : {&manifest.faults, &outcome.faults}) {
    for (const Fault &fault : *faults) std::cerr << fault.subject << ": " << fault.message << ". Skipped.\n";
  }
  std::cout << options.settings.model << ": " << outcome.results.size() << " tensors in " << outcome.seconds << " s, "
            << summarise(outcome.batch_ms).mean << " ms a batch of " << backend->input()[0] << '\n';
  return manifest.faults.empty() && outcome.faults.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char **words) {
  try {
    const auto options = kidneyseg::parse({words + 1, words + count});
    if (!options) {
      std::cout << kidneyseg::kUsage;
      return 0;
    }
    return run(*options);
  } catch (const std::exception &error) {
    std::cerr << "kidneyseg_infer: error: " << error.what() << '\n';
    return 2;
  }
}
