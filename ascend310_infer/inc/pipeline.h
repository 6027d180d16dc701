// All tensors of a manifest through a network: one thread reads, one computes, one writes.
#pragma once
#include <filesystem>
#include <vector>

#include "backend.h"
#include "manifest.h"

namespace kidneyseg {

struct Outcome {
  std::vector<Entry> results;    // written, in the manifest's order
  std::vector<Fault> faults;     // tensors that were left out, and why
  std::vector<double> batch_ms;  // of every call of the network
  double seconds = 0;            // in all
};

// Writes out/NAME for every tensor NAME of `manifest`. Batches are filled up with whatever good tensor comes next, the
// last one with zeros. A tensor that is missing, damaged, or of another shape than the network takes is left out and
// is among the faults, as is a result that is not finite.
//
// Throws Error when no tensor has the network's shape, the network fails, or `out` cannot be written.
Outcome run_all(const Manifest &manifest, Backend &backend, const std::filesystem::path &out);

}  // namespace kidneyseg
