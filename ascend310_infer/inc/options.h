// The command line.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "backend.h"

namespace kidneyseg {

struct Options {
  Settings settings;
  std::string manifest, out, timing;  // files and a folder; no timing is written where that is empty
};

extern const char *const kUsage;

// None when help is asked for. Throws Error: an option that is unknown, without its value, of a wrong one, or missing.
std::optional<Options> parse(const std::vector<std::string> &words);

}  // namespace kidneyseg
