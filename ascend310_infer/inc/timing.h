// How long the network took.
#pragma once
#include <filesystem>
#include <vector>

namespace kidneyseg {

struct Timing {
  double mean = 0, p50 = 0, p99 = 0;  // the unit of what they are of
};

// Mean and nearest-rank percentiles; zeros of nothing.
Timing summarise(std::vector<double> values);

// Writes "name value" lines: batches, batch_size, tensors, mean_ms, p50_ms and p99_ms of a batch's inference, and
// seconds from the first file read to the last written. Throws Error.
void write_timing(const std::filesystem::path &file, const std::vector<double> &batch_ms, int64_t batch_size,
                  int64_t tensors, double seconds);

}  // namespace kidneyseg
