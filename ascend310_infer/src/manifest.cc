#include "manifest.h"

#include <fstream>
#include <set>

#include "error.h"
#include "files.h"

namespace kidneyseg {
namespace {

constexpr size_t kDigest = 64;

bool leads_outside(const std::filesystem::path &name) {
  if (name.is_absolute()) return true;
  for (const auto &part : name) {
    if (part == "..") return true;
  }
  return false;
}

Entry parse(const std::string &line) {
  const size_t first = line.find(' '), second = first == std::string::npos ? first : line.find(' ', first + 1);
  if (second == std::string::npos || second + 1 == line.size()) {
    throw Error("expected SHA256 SHAPE NAME, found " + line.substr(0, 80));
  }
  Entry entry{line.substr(second + 1), shape_from(line.substr(first + 1, second - first - 1)), line.substr(0, first)};
  if (first != kDigest || entry.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw Error("expected a SHA-256 of 64 lower-case hexadecimal digits, found " + entry.sha256);
  }
  if (leads_outside(entry.name)) throw Error("expected a file below the manifest's folder, found " + entry.name);
  return entry;
}

}  // namespace

Manifest read_manifest(const std::filesystem::path &file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) throw Error(file.string() + ": expected a manifest, cannot read");
  Manifest manifest{file.parent_path(), {}, {}};
  std::set<std::string> names;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    try {
      Entry entry = parse(line);
      if (!names.insert(entry.name).second) throw Error("expected every file once, found " + entry.name + " again");
      manifest.entries.push_back(std::move(entry));
    } catch (const Error &error) {
      manifest.faults.push_back({file.string() + ", line " + std::to_string(number), error.what()});
    }
  }
  return manifest;
}

void write_manifest(const std::filesystem::path &file, const std::vector<Entry> &entries) {
  std::string text = "# SHA-256, shape, file\n";
  for (const Entry &entry : entries) text += entry.sha256 + ' ' + to_text(entry.shape) + ' ' + entry.name + '\n';
  write_file(file, text.data(), text.size());
}

}  // namespace kidneyseg
