// Files in and out, whole.
#pragma once
#include <filesystem>
#include <vector>

#include "manifest.h"

namespace kidneyseg {

// Reads the floats of the tensor `entry` below `folder` to `values`, which has room for them. Throws Error when the
// file is missing, has another size than the shape asks for, or another SHA-256.
void read_tensor(const std::filesystem::path &folder, const Entry &entry, float *values);

// Writes `bytes` bytes to `file`, which appears complete or not at all; its folder is made. Throws Error.
void write_file(const std::filesystem::path &file, const void *data, size_t bytes);

}  // namespace kidneyseg
