// What the MindSpore Lite backend uses of the API's include/api/status.h, for its test.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

namespace mindspore {

enum StatusCode : uint32_t { kSuccess = 0, kLiteError = 0xF0000000u };

class Status {
 public:
  Status() = default;
  Status(enum StatusCode code, std::string text = "") : code_(code), text_(std::move(text)) {}
  bool operator!=(enum StatusCode other) const { return code_ != other; }
  std::string ToString() const { return text_; }

 private:
  enum StatusCode code_ = kSuccess;
  std::string text_;
};

}  // namespace mindspore
