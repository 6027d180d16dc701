// Files in and out, whole.
#pragma once
#include <filesystem>
#include <vector>

#include "manifest.h"

namespace kidneyseg {

// Reads the tensor `entry` below `folder`, whose numbers have `bytes` bytes each (4: float32, 1: uint8), to `values`,
// which has room for them. Throws Error when the file is missing, has another size than the shape asks for, or another
// SHA-256.
void read_tensor(const std::filesystem::path &folder, const Entry &entry, size_t bytes, void *values);

// Writes `bytes` bytes to `file`, which appears complete or not at all; its folder is made. Throws Error.
void write_file(const std::filesystem::path &file, const void *data, size_t bytes);

}  // namespace kidneyseg
