// Vectors of eight channels, and the size of the tile that a matrix product keeps in the registers of AVX2.
#pragma once
#include <cstdint>
#include <cstring>

namespace kidneyseg {

typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int kLanes = 8;

// A product keeps up to kMr x kNr sums in registers, 12 vectors (XNNPACK's MR and NR).
constexpr int kMr = 6, kNr = 16;

inline int64_t divide_up(int64_t length, int64_t block) { return (length + block - 1) / block; }
inline int64_t round_up(int64_t length, int64_t block) { return divide_up(length, block) * block; }

inline Vector load(const float *from) { return *reinterpret_cast<const Vector *>(from); }
inline void store(float *to, Vector value) { *reinterpret_cast<Vector *>(to) = value; }

// These also prefetch what comes two vectors later: transforms read and write dozens of streams at a time, more than
// the hardware prefetcher follows.
inline Vector load_and_prefetch(const float *from) {
  __builtin_prefetch(from + 2 * kLanes);
  return load(from);
}
inline void store_and_prefetch(float *to, Vector value) {
  __builtin_prefetch(to + 2 * kLanes, 1);
  store(to, value);
}

// The first `count` lanes, for numbers of channels that are no multiple of kLanes.
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

}  // namespace kidneyseg
