// Tensors in files, for tests.
#pragma once
#include <fstream>

#include "files.h"
#include "sha256.h"

inline kidneyseg::Entry save_tensor(const std::filesystem::path &folder, const std::string &name,
                                    const kidneyseg::Shape &shape, const std::vector<float> &values) {
  kidneyseg::write_file(folder / name, values.data(), values.size() * sizeof(float));
  return {name, shape, kidneyseg::sha256(values.data(), values.size() * sizeof(float))};
}

inline std::vector<float> load_tensor(const std::filesystem::path &folder, const kidneyseg::Entry &entry) {
  std::vector<float> values(static_cast<size_t>(kidneyseg::elements(entry.shape)));
  kidneyseg::read_tensor(folder, entry, sizeof(float), values.data());
  return values;
}
