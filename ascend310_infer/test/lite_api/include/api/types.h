// What the MindSpore Lite backend uses of the API's include/api/types.h, for its test.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "include/api/data_type.h"

namespace mindspore {

enum ModelType : uint32_t { kMindIR = 0, kMindIR_Lite = 4 };

class MSTensor {
 public:
  MSTensor(enum DataType type, std::vector<int64_t> shape)
      : type_(type), shape_(std::move(shape)), values_(std::make_shared<std::vector<unsigned char>>()) {
    int64_t count = type == DataType::kNumberTypeUInt8 ? 1 : 4;  // float32 is all else here
    for (int64_t length : shape_) count *= length < 0 ? 0 : length;
    values_->resize(static_cast<size_t>(count));
  }
  enum DataType DataType() const { return type_; }
  const std::vector<int64_t> &Shape() const { return shape_; }
  std::shared_ptr<const void> Data() const { return {values_, values_->data()}; }
  void *MutableData() { return values_->data(); }
  size_t DataSize() const { return values_->size(); }

 private:
  enum DataType type_;
  std::vector<int64_t> shape_;
  std::shared_ptr<std::vector<unsigned char>> values_;  // bytes; copies of a tensor share it
};

}  // namespace mindspore
