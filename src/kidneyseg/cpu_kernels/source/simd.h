// Eight channels at a time, and the tile of a product of matrices that fits into the registers of AVX2.
#pragma once
#include <cstdint>
#include <cstring>

typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int kLanes = 8;
constexpr int kRows = 6, kBlock = 16;  // a product keeps up to kRows x kBlock sums, 12 vectors

inline int64_t blocks(int64_t length, int64_t block) { return (length + block - 1) / block; }

inline Vector load(const float *from) { return *reinterpret_cast<const Vector *>(from); }
inline void store(float *to, Vector value) { *reinterpret_cast<Vector *>(to) = value; }

// Also asks the cache for what comes two vectors later: transforms read and write dozens of places at a time, more than
// the processor follows by itself.
inline Vector load_ahead(const float *from) {
  __builtin_prefetch(from + 2 * kLanes);
  return load(from);
}
inline void store_ahead(float *to, Vector value) {
  __builtin_prefetch(to + 2 * kLanes, 1);
  store(to, value);
}

// Of the first `count` lanes, for channels that are no multiple of kLanes.
inline Vector load(const float *from, int64_t count) {
  if (count >= kLanes) return load(from);
  Vector value = {};
  std::memcpy(&value, from, count * sizeof(float));
  return value;
}
inline void store(float *to, Vector value, int64_t count) {
  if (count >= kLanes) {
    store(to, value);
  } else {
    std::memcpy(to, &value, count * sizeof(float));
  }
}
