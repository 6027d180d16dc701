#include "thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <thread>
#include <vector>

namespace kidneyseg {
namespace {

thread_local bool in_pool = false;

int requested_threads = 1;

// Workers sleep on a condition variable between jobs: a spinning worker would take a core from MindSpore's own
// operators, and waking one costs microseconds where a kernel takes milliseconds.
class ThreadPool : public dnnl::threadpool_interop::threadpool_iface {
 public:
  explicit ThreadPool(int threads) : threads_(threads) {
    for (int worker = 1; worker < threads; ++worker) {
      std::thread thread([this] { work(); });
      pthread_setname_np(thread.native_handle(), "kidneyseg");
      thread.detach();
    }
  }
  int get_num_threads() const override { return threads_; }
  bool get_in_parallel() const override { return in_pool; }
  uint64_t get_flags() const override { return 0; }

  void parallel_for(int count, const std::function<void(int, int)> &job) override {
    if (count == 1 || threads_ == 1 || in_pool) {
      for (int i = 0; i < count; ++i) job(i, count);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      count_ = count;
      next_ = 0;
      ++generation_;
    }
    wake_.notify_all();
    run_tasks(job, count);
    // A worker that woke late finds nothing left, but one that is still busy uses `job`.
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = nullptr;
    idle_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void run_tasks(const std::function<void(int, int)> &job, int count) {
    in_pool = true;
    for (int i = next_++; i < count; i = next_++) job(i, count);
    in_pool = false;
  }

  void work() {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (job_ == nullptr) continue;
      const auto &job = *job_;
      const int count = count_;
      ++busy_;
      lock.unlock();
      run_tasks(job, count);
      lock.lock();
      if (--busy_ == 0) idle_.notify_one();
    }
  }

  const int threads_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  const std::function<void(int, int)> *job_ = nullptr;
  int count_ = 0;
  int busy_ = 0;
  uint64_t generation_ = 0;
  std::atomic<int> next_{0};
};

}  // namespace

extern "C" __attribute__((visibility("default"))) void kidneyseg_set_threads(int count) { requested_threads = count; }

int thread_count() {
  static const int count = requested_threads;  // oneDNN's primitives are made for one number
  return count;
}

dnnl::threadpool_interop::threadpool_iface *thread_pool() {
  // Never destroyed: its sleeping workers live until the process ends.
  static auto *pool = new ThreadPool(thread_count());
  return pool;
}

std::mutex &kernel_mutex() {
  static auto *mutex = new std::mutex;
  return *mutex;
}

void parallel_for(int64_t count, const std::function<void(int64_t)> &job) {
  thread_pool()->parallel_for(static_cast<int>(count), [&](int i, int) { job(i); });
}

void parallel_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &job) {
  // A few ranges per thread, so that a thread which lost its core to somebody else does not hold up the rest.
  const int64_t wanted = std::min<int64_t>(4 * thread_count(), std::max<int64_t>(1, count / grain));
  const int64_t length = (count + wanted - 1) / wanted;
  const int64_t ranges = length == 0 ? 0 : (count + length - 1) / length;
  if (ranges > 0) parallel_for(ranges, [&](int64_t i) { job(i * length, std::min(count, (i + 1) * length)); });
}

}  // namespace kidneyseg
