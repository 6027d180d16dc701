// A list of tensors in files: what is to be computed, and what was.
//
// One tensor a line, without its batch axis: SHA-256 of the file, a space, the shape, a space, the file's name relative
// to the manifest's folder, to the line's end. Files hold float32, little endian (images for graphs that want it so:
// uint8), the last axis fastest, and nothing else. Empty lines and lines that start with # say nothing.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "shape.h"

namespace kidneyseg {

struct Entry {
  std::string name;
  Shape shape;
  std::string sha256;
};

// Something wrong with one tensor; the others can be computed.
struct Fault {
  std::string subject;  // file or line
  std::string message;
};

struct Manifest {
  std::filesystem::path folder;
  std::vector<Entry> entries;
  std::vector<Fault> faults;  // of lines that could not be understood
};

// Throws Error when the file cannot be read.
Manifest read_manifest(const std::filesystem::path &file);

// The file appears complete or not at all. Throws Error.
void write_manifest(const std::filesystem::path &file, const std::vector<Entry> &entries);

}  // namespace kidneyseg
