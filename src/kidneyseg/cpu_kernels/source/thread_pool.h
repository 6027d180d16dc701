// The one pool of threads that every kernel runs on.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <mutex>

#include "onednn_api.h"

// Threads of the pool, the caller's included: what Python (threads.py) said before the first kernel ran.
int thread_count();

// The pool in the form oneDNN asks for.
dnnl::threadpool_interop::threadpool_iface *thread_pool();

// Held by a kernel while it runs. MindSpore may start two kernels at once from its own threads: they take turns, each
// with the whole pool, rather than run more threads than there are cores. It also guards every cache below it.
std::mutex &kernel_turn();

// Calls job(i) for i in [0, count), spread over the pool. Not to be nested.
void parallel(int64_t count, const std::function<void(int64_t)> &job);

// Calls job(begin, end) for consecutive ranges that cover [0, count), each at least `least` long but the last.
void parallel_ranges(int64_t count, int64_t least, const std::function<void(int64_t, int64_t)> &job);
