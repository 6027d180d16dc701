// oneDNN primitives that are kept between calls: creating one compiles machine code.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "kernel.h"

namespace kidneyseg {

// Throws where oneDNN returned another status than success; `what` was being done.
void check(int status, const char *what);
dnnl_engine *engine();
dnnl_stream *stream();

// Memory that outlives the call: one block per slot, grown when needed, aligned to cache lines. kSlotWork and what
// follows are for the kernels, of which one runs at a time.
enum Slot { kSlotScratchpad, kSlotOperands, kSlotWork = kSlotOperands + 4 };
void *scratch(int slot, size_t bytes);

// How a float32 tensor is stored.
using MemoryDesc = std::shared_ptr<dnnl_memory_desc>;
MemoryDesc any_layout(const Shape &shape);            // oneDNN chooses
MemoryDesc row_major_layout(const Shape &shape);      // as the shape says: weights
MemoryDesc channels_last_layout(const Shape &shape);  // (N, *spatial, C) for a shape (N, C, *spatial)

// A primitive and its operands. Where it wants an operand in another layout than the user has (weights, mostly), run()
// reorders through scratch memory.
class Primitive {
 public:
  struct Operand {
    int argument;  // oneDNN's number of it: ExecArgument
    MemoryDesc user_layout;
    bool is_output;
  };
  // Takes over `desc`.
  Primitive(dnnl_primitive_desc *desc, const std::vector<Operand> &operands);
  ~Primitive();
  Primitive(const Primitive &) = delete;
  Primitive &operator=(const Primitive &) = delete;

  // `data` in the order of the operands.
  void run(const std::vector<void *> &data);

 private:
  struct BoundOperand {
    int argument;
    bool is_output;
    dnnl_memory *user;      // in the user's layout
    dnnl_memory *internal;  // in the primitive's layout; the same object where the layouts are equal
    size_t internal_bytes;
    dnnl_primitive *reorder;  // nullptr where the layouts are equal
  };
  dnnl_primitive *primitive_ = nullptr;
  dnnl_memory *scratchpad_ = nullptr;
  size_t scratchpad_bytes_ = 0;
  std::vector<BoundOperand> operands_;
};

// The name of the implementation that oneDNN chose.
std::string implementation(const dnnl_primitive_desc *desc);

}  // namespace kidneyseg
