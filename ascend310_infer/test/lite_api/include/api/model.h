// What the MindSpore Lite backend uses of the API's include/api/model.h, for its test, which says what it does.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "include/api/context.h"
#include "include/api/status.h"
#include "include/api/types.h"

namespace mindspore {

class Model {
 public:
  Status Build(const std::string &model_path, ModelType model_type, const std::shared_ptr<Context> &context = nullptr);
  Status Resize(const std::vector<MSTensor> &inputs, const std::vector<std::vector<int64_t>> &dims);
  Status Predict(const std::vector<MSTensor> &inputs, std::vector<MSTensor> *outputs);
  std::vector<MSTensor> GetInputs();

 private:
  std::vector<MSTensor> inputs_;
};

}  // namespace mindspore
