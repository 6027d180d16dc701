#include "pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <thread>

#include "error.h"
#include "files.h"
#include "queue.h"
#include "sha256.h"

namespace kidneyseg {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kAhead = 2;  // batches that wait before and behind the network

struct Batch {
  std::vector<const Entry *> entries;  // at most as many as the batch size
  std::vector<float> values;           // of the whole batch; images of uint8 lie in its first bytes
};

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A thread whose failure is kept for whoever joins it.
class Worker {
 public:
  template <typename Function>
  explicit Worker(Function work)
      : thread_([this, work] {
          try {
            work();
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}

  void join() { thread_.join(); }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses the failure
};

class Reader {
 public:
  Reader(const Manifest &manifest, const Backend &backend)
      : manifest_(manifest), input_(backend.input()), one_(of_one(input_)), bytes_(backend.input_bytes()) {}

  void work(Queue<Batch> &batches) {
    Batch batch = empty();
    for (const Entry &entry : manifest_.entries) {
      if (!add(entry, batch) || batch.entries.size() < static_cast<size_t>(input_[0])) continue;
      if (!batches.push(std::move(batch))) return;
      batch = empty();
    }
    if (!batch.entries.empty()) batches.push(std::move(batch));
  }

  std::vector<Fault> faults;

 private:
  Batch empty() const { return {{}, std::vector<float>(static_cast<size_t>(elements(input_)))}; }

  bool add(const Entry &entry, Batch &batch) {
    try {
      if (entry.shape != one_) {
        throw Error("expected shape " + to_text(one_) + ", which the graph takes, found " + to_text(entry.shape));
      }
      auto *first = reinterpret_cast<unsigned char *>(batch.values.data());
      read_tensor(manifest_.folder, entry, bytes_,
                  first + batch.entries.size() * static_cast<size_t>(elements(one_)) * bytes_);
    } catch (const Error &error) {
      faults.push_back({entry.name, error.what()});
      return false;
    }
    batch.entries.push_back(&entry);
    return true;
  }

  const Manifest &manifest_;
  const Shape input_, one_;
  const size_t bytes_;
};

class Writer {
 public:
  Writer(const std::filesystem::path &out, const Shape &output) : out_(out), one_(of_one(output)) {}

  void work(Queue<Batch> &batches) {
    while (const auto batch = batches.pop()) {
      const float *values = batch->values.data();
      for (const Entry *entry : batch->entries) {
        write(*entry, values);
        values += elements(one_);
      }
    }
  }

  std::vector<Entry> results;
  std::vector<Fault> faults;

 private:
  void write(const Entry &entry, const float *values) {
    const auto count = static_cast<size_t>(elements(one_));
    if (!std::all_of(values, values + count, [](float value) { return std::isfinite(value); })) {
      faults.push_back({entry.name, "expected finite probabilities, found NaN or infinity"});
      return;
    }
    write_file(out_ / entry.name, values, count * sizeof(float));
    results.push_back({entry.name, one_, sha256(values, count * sizeof(float))});
  }

  const std::filesystem::path out_;
  const Shape one_;
};

void require_some_fit(const Manifest &manifest, const Shape &one) {
  const auto &entries = manifest.entries;
  if (entries.empty() || std::any_of(entries.begin(), entries.end(), [&](const Entry &e) { return e.shape == one; })) {
    return;
  }
  throw Error("expected tensors of shape " + to_text(one) + ", which the graph takes, found none, but " +
              entries[0].name + " of " + to_text(entries[0].shape));
}

}  // namespace

Outcome run_all(const Manifest &manifest, Backend &backend, const std::filesystem::path &out) {
  require_some_fit(manifest, of_one(backend.input()));
  const Clock::time_point start = Clock::now();
  Outcome outcome;
  Queue<Batch> ready(kAhead), done(kAhead);
  Reader reader(manifest, backend);
  Writer writer(out, backend.output());
  // Whoever ends, well or not, closes its queues, so that the others end as well.
  Worker reading([&] {
    try {
      reader.work(ready);
    } catch (...) {
      ready.close();
      throw;
    }
    ready.close();
  });
  Worker writing([&] {
    try {
      writer.work(done);
    } catch (...) {
      done.close();
      throw;
    }
  });
  std::exception_ptr failure;
  try {
    while (auto batch = ready.pop()) {
      std::vector<float> probabilities(static_cast<size_t>(elements(backend.output())));
      const Clock::time_point begun = Clock::now();
      backend.run(batch->values.data(), probabilities.data());
      outcome.batch_ms.push_back(1000 * since(begun));
      batch->values = std::move(probabilities);
      if (!done.push(std::move(*batch))) break;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  ready.close();
  done.close();
  reading.join();
  writing.join();
  reading.rethrow();
  writing.rethrow();
  if (failure) std::rethrow_exception(failure);
  outcome.results = std::move(writer.results);
  outcome.faults = std::move(reader.faults);
  outcome.faults.insert(outcome.faults.end(), writer.faults.begin(), writer.faults.end());
  outcome.seconds = since(start);
  return outcome;
}

}  // namespace kidneyseg
