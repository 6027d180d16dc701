// What the MindSpore Lite backend uses of the API's include/api/context.h, for its test.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mindspore {

enum DeviceType { kCPU = 0, kAscend = 3 };

class DeviceInfoContext {
 public:
  virtual ~DeviceInfoContext() = default;
  virtual enum DeviceType GetDeviceType() const = 0;
};

class CPUDeviceInfo : public DeviceInfoContext {
 public:
  enum DeviceType GetDeviceType() const override { return kCPU; }
  void SetEnableFP16(bool is_fp16) { fp16 = is_fp16; }
  bool fp16 = true;
};

class AscendDeviceInfo : public DeviceInfoContext {
 public:
  enum DeviceType GetDeviceType() const override { return kAscend; }
  void SetDeviceID(uint32_t device_id) { id = device_id; }
  void SetPrecisionMode(const std::string &precision_mode) { precision = precision_mode; }
  uint32_t id = 0;
  std::string precision;
};

class Context {
 public:
  void SetThreadNum(int32_t thread_num) { threads = thread_num; }
  std::vector<std::shared_ptr<DeviceInfoContext>> &MutableDeviceInfo() { return devices; }
  int32_t threads = 0;
  std::vector<std::shared_ptr<DeviceInfoContext>> devices;
};

}  // namespace mindspore
