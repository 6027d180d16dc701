// oneDNN primitives kept between calls: creating one compiles machine code, so each is made once per shape.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "kernel.h"

void check(int status, const char *what);
dnnl_engine *engine();
dnnl_stream *stream();

// Memory that outlives the call, one block per slot, grown when needed and 64-byte aligned.
enum Slot { kSlotScratchpad, kSlotArguments, kSlotWork = kSlotArguments + 4 };
void *scratch(int slot, size_t bytes);

// Owns a description of how a tensor of floats lies in memory.
using Layout = std::shared_ptr<dnnl_memory_desc>;
Layout any_layout(const Shape &shape);
Layout plain_layout(const Shape &shape);          // (N, C, *spatial) as MindSpore has it; also weights
Layout channels_last_layout(const Shape &shape);  // (N, *spatial, C)

// A primitive and the tensors it works on. Where the primitive chose another layout than the tensor has (weights,
// mostly) the call reorders through scratch memory.
class Call {
 public:
  struct Operand {
    int argument;    // oneDNN's name of it
    Layout layout;   // of the tensor given to run()
    bool is_output;
  };
  // Takes over `desc`.
  Call(dnnl_primitive_desc *desc, const std::vector<Operand> &operands);
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  // `data` in the order of the operands.
  void run(const std::vector<void *> &data);

 private:
  struct Bound {
    int argument;
    bool is_output;
    dnnl_memory *outside;  // the caller's tensor
    dnnl_memory *inside;   // what the primitive sees; the same object where layouts agree
    size_t inside_bytes;
    dnnl_primitive *reorder;  // nullptr where layouts agree
  };
  dnnl_primitive *primitive_ = nullptr;
  dnnl_memory *scratchpad_ = nullptr;
  size_t scratchpad_bytes_ = 0;
  std::vector<Bound> bound_;
};

std::string implementation(const dnnl_primitive_desc *desc);
