#include "options.h"

#include <functional>
#include <map>

#include "error.h"

namespace kidneyseg {

const char *const kUsage =
    "usage: kidneyseg_infer --model FILE --manifest FILE --out DIR [--batch N] [--device CPU|Ascend310]\n"
    "                       [--device-id N] [--threads N] [--timing FILE]\n"
    "Runs the graph FILE (.onnx or .mindir) on every tensor that the manifest lists, batched, and writes the results\n"
    "under their names to DIR, with a manifest of their own, DIR/manifest.txt.\n"
    "Exit status: 0, or 1 when tensors were left out (each is named), or 2 when nothing could be done.\n";

namespace {

int number(const std::string &option, const std::string &text, int least) {
  const bool digits = !text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoi(text) < least) {
    throw Error(option + ": expected a whole number from " + std::to_string(least) + ", found " + text);
  }
  return std::stoi(text);
}

}  // namespace

std::optional<Options> parse(const std::vector<std::string> &words) {
  Options options;
  Settings &settings = options.settings;
  const std::map<std::string, std::function<void(const std::string &, const std::string &)>> known = {
      {"--model", [&](const auto &, const auto &value) { settings.model = value; }},
      {"--manifest", [&](const auto &, const auto &value) { options.manifest = value; }},
      {"--out", [&](const auto &, const auto &value) { options.out = value; }},
      {"--timing", [&](const auto &, const auto &value) { options.timing = value; }},
      {"--device", [&](const auto &, const auto &value) { settings.device = value; }},
      {"--device-id", [&](const auto &name, const auto &value) { settings.device_id = number(name, value, 0); }},
      {"--batch", [&](const auto &name, const auto &value) { settings.batch = number(name, value, 1); }},
      {"--threads", [&](const auto &name, const auto &value) { settings.threads = number(name, value, 1); }},
  };
  for (size_t at = 0; at < words.size(); at += 2) {
    if (words[at] == "--help" || words[at] == "-h") return std::nullopt;
    const auto option = known.find(words[at]);
    if (option == known.end()) throw Error(words[at] + ": no such option");
    if (at + 1 == words.size() || words[at + 1].empty()) throw Error(words[at] + ": expected a value");
    option->second(words[at], words[at + 1]);
  }
  if (settings.model.empty() || options.manifest.empty() || options.out.empty()) {
    throw Error("expected --model, --manifest and --out");
  }
  return options;
}

}  // namespace kidneyseg
