// As much of a test framework as these tests need.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include "error.h"

inline void check(bool holds, const std::string &what, int line) {
  if (holds) return;
  std::cerr << "line " << line << ": " << what << '\n';
  std::exit(1);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

// The message of the Error that `act` throws; "" if it throws none.
inline std::string error_of(const std::function<void()> &act) {
  try {
    act();
  } catch (const kidneyseg::Error &error) {
    return error.what();
  }
  return "";
}

inline bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

// An empty folder of this test's own, in the folder that it runs in.
inline std::filesystem::path empty_folder(const std::string &name) {
  std::filesystem::remove_all(name);
  std::filesystem::create_directories(name);
  return name;
}
