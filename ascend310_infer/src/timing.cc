#include "timing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "files.h"

namespace kidneyseg {

Timing summarise(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto size = static_cast<double>(values.size());
  const auto percentile = [&](double percent) {
    return values[static_cast<size_t>(std::max(1.0, std::ceil(percent * size / 100))) - 1];
  };
  return {std::accumulate(values.begin(), values.end(), 0.0) / size, percentile(50), percentile(99)};
}

void write_timing(const std::filesystem::path &file, const std::vector<double> &batch_ms, int64_t batch_size,
                  int64_t tensors, double seconds) {
  const Timing timing = summarise(batch_ms);
  std::ostringstream text;
  text << "batches " << batch_ms.size() << "\nbatch_size " << batch_size << "\ntensors " << tensors << "\nmean_ms "
       << timing.mean << "\np50_ms " << timing.p50 << "\np99_ms " << timing.p99 << "\nseconds " << seconds << '\n';
  write_file(file, text.str().data(), text.str().size());
}

}  // namespace kidneyseg
