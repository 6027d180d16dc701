// SHA-256 (FIPS 180-4).
#pragma once
#include <cstddef>
#include <string>

namespace kidneyseg {

// 64 hexadecimal digits, lower case.
std::string sha256(const void *data, size_t bytes);

}  // namespace kidneyseg
