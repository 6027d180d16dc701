#include "shape.h"

#include <sstream>

#include "error.h"

namespace kidneyseg {

std::string to_text(const Shape &shape) {
  std::string text;
  for (int64_t length : shape) {
    text += (text.empty() ? "" : "x") + (length < 0 ? std::string("?") : std::to_string(length));
  }
  return text;
}

Shape shape_from(const std::string &text) {
  constexpr int64_t kMost = int64_t{1} << 40;
  Shape shape;
  int64_t product = 1;
  std::stringstream parts(text + "x");
  for (std::string part; std::getline(parts, part, 'x');) {
    const bool digits = !part.empty() && part.size() < 14 && part.find_first_not_of("0123456789") == std::string::npos;
    const int64_t length = digits ? std::stoll(part) : 0;
    if (length < 1 || length > kMost / product) throw Error("expected a shape such as 1x80x160x160, found " + text);
    product *= length;
    shape.push_back(length);
  }
  return shape;
}

int64_t elements(const Shape &shape) {
  int64_t product = 1;
  for (int64_t length : shape) product *= length;
  return product;
}

Shape of_one(const Shape &batched) { return Shape(batched.begin() + 1, batched.end()); }

}  // namespace kidneyseg
