#include "files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "error.h"
#include "sha256.h"

namespace kidneyseg {

void read_tensor(const std::filesystem::path &folder, const Entry &entry, size_t bytes, void *values) {
  const std::filesystem::path file = folder / entry.name;
  const size_t expected = static_cast<size_t>(elements(entry.shape)) * bytes;
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) throw Error("expected a file, found none");
  const auto found = std::filesystem::file_size(file, failed);
  if (failed) throw Error("cannot read: " + failed.message());
  if (found != expected) {
    throw Error("expected " + std::to_string(expected) + " bytes (" + to_text(entry.shape) +
                (bytes == 1 ? " uint8" : " float32") + "), found " + std::to_string(found));
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream.read(static_cast<char *>(values), static_cast<std::streamsize>(expected))) {
    throw Error(std::string("cannot read: ") + std::strerror(errno));
  }
  const std::string digest = sha256(values, expected);
  if (digest != entry.sha256) throw Error("expected SHA-256 " + entry.sha256 + ", found " + digest);
}

void write_file(const std::filesystem::path &file, const void *data, size_t bytes) {
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);  // what fails here fails below, too
  const std::filesystem::path partial = file.parent_path() / ("." + file.filename().string() + ".partial");
  {
    std::ofstream stream(partial, std::ios::binary);
    stream.write(static_cast<const char *>(data), static_cast<std::streamsize>(bytes));
    stream.close();
    if (!stream) {
      const std::string reason = std::strerror(errno);
      std::filesystem::remove(partial, failed);
      throw Error(file.string() + ": cannot write: " + reason);
    }
  }
  std::filesystem::rename(partial, file, failed);
  if (failed) throw Error(file.string() + ": cannot write: " + failed.message());
}

}  // namespace kidneyseg
