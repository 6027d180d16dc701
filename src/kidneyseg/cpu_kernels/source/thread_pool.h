// The one pool of threads that every kernel runs on.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <mutex>

#include "onednn_api.h"

namespace kidneyseg {

// Threads of the pool, the caller's included: what Python (build.py) set before the first kernel ran.
int thread_count();

// The pool, with the interface that oneDNN expects.
dnnl::threadpool_interop::threadpool_iface *thread_pool();

// Held by a kernel while it runs. MindSpore may start two kernels at once from its own threads: they take turns, each
// with the whole pool, rather than run more threads than there are cores. It also guards every cache below it.
std::mutex &kernel_mutex();

// Calls job(i) for i in [0, count), on all threads. Not to be nested.
void parallel_for(int64_t count, const std::function<void(int64_t)> &job);

// Calls job(begin, end) for consecutive ranges that cover [0, count), on all threads. Each but the last has a length of
// at least `grain`.
void parallel_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &job);

}  // namespace kidneyseg
