// What the MindSpore Lite backend uses of the API's include/api/data_type.h, for its test.
#pragma once

namespace mindspore {

enum class DataType : int { kNumberTypeUInt8 = 37, kNumberTypeFloat16 = 42, kNumberTypeFloat32 = 43 };

}  // namespace mindspore
