// Lengths of a tensor's axes, and what is said of them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace kidneyseg {

using Shape = std::vector<int64_t>;

// "1x80x160x160"; a length that is open (negative) is "?".
std::string to_text(const Shape &shape);

// The reverse; throws Error unless `text` is positive lengths joined by x, together at most 2^40 elements.
Shape shape_from(const std::string &text);

int64_t elements(const Shape &shape);

// Without the first axis, the batch.
Shape of_one(const Shape &batched);

}  // namespace kidneyseg
