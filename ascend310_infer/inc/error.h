// The one exception that means "your input, not our bug"; its message names the file.
#pragma once
#include <stdexcept>
#include <string>

namespace kidneyseg {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace kidneyseg
