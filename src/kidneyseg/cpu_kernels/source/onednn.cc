#include "onednn.h"

#include <sys/mman.h>

#include <cstdlib>

namespace kidneyseg {
namespace {

void execute(dnnl_primitive *primitive, const std::vector<dnnl_exec_arg> &args) {
  check(dnnl_primitive_execute(primitive, stream(), static_cast<int>(args.size()), args.data()), "execute");
}

dnnl_primitive *make_primitive(dnnl_primitive_desc *desc) {
  dnnl_primitive *primitive = nullptr;
  const int status = dnnl_primitive_create(&primitive, desc);
  dnnl_primitive_desc_destroy(desc);
  check(status, "primitive");
  return primitive;
}

dnnl_primitive *make_reorder(const dnnl_memory_desc *from, const dnnl_memory_desc *to) {
  dnnl_primitive_desc *desc = nullptr;
  check(dnnl_reorder_primitive_desc_create(&desc, from, engine(), to, engine(), nullptr), "reorder");
  return make_primitive(desc);
}

dnnl_memory *make_memory(const dnnl_memory_desc *desc) {
  dnnl_memory *memory = nullptr;
  check(dnnl_memory_create(&memory, desc, engine(), nullptr), "memory");
  return memory;
}

MemoryDesc strided_layout(const Shape &shape, const std::vector<int> &outer_to_inner) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (auto axis = outer_to_inner.rbegin(); axis != outer_to_inner.rend(); ++axis) {
    strides[*axis] = step;
    step *= shape[*axis];
  }
  dnnl_memory_desc *desc = nullptr;
  check(dnnl_memory_desc_create_with_strides(&desc, static_cast<int>(shape.size()), shape.data(), kF32,
                                             strides.data()), "layout");
  return MemoryDesc(desc, dnnl_memory_desc_destroy);
}

}  // namespace

void check(int status, const char *what) {
  if (status != 0) throw std::runtime_error(std::string("oneDNN ") + what + ": status " + std::to_string(status));
}

dnnl_engine *engine() {
  // A primitive is made for so many threads, a setting of the thread that makes it: MindSpore's threads have it at 1.
  thread_local const int status = dnnl_threadpool_interop_set_max_concurrency(thread_count());
  check(status, "threads");
  static dnnl_engine *instance = [] {
    // The environment keeps oneDNN to AVX2 for MindSpore's operators. This is our copy of it (build.py), which nobody
    // has used before: only then the limit can be lifted.
    check(dnnl_set_max_cpu_isa(kIsaDefault), "instruction sets");
    dnnl_engine *made = nullptr;
    check(dnnl_engine_create(&made, kCpu, 0), "engine");
    return made;
  }();
  return instance;
}

dnnl_stream *stream() {
  static dnnl_stream *instance = [] {
    dnnl_stream *made = nullptr;
    check(dnnl_threadpool_interop_stream_create(&made, engine(), thread_pool()), "stream");
    return made;
  }();
  return instance;
}

void *scratch(int slot, size_t bytes) {
  struct Block { void *data = nullptr; size_t bytes = 0; };
  static std::vector<Block> blocks(16);
  Block &block = blocks.at(slot);
  if (block.bytes < bytes) {
    std::free(block.data);
    block = {};
    constexpr size_t kLine = 64, kHugePage = 1 << 21;
    const size_t unit = bytes < kHugePage ? kLine : kHugePage, rounded = (bytes + unit - 1) / unit * unit;
    block.data = std::aligned_alloc(unit, rounded);
    if (block.data == nullptr) throw std::bad_alloc();
    // A wish: with pages of 4 KiB, looking up addresses takes a fifth of the time of large products.
    if (unit == kHugePage) madvise(block.data, rounded, MADV_HUGEPAGE);
    block.bytes = rounded;
  }
  return block.data;
}

MemoryDesc any_layout(const Shape &shape) {
  dnnl_memory_desc *desc = nullptr;
  check(dnnl_memory_desc_create_with_tag(&desc, static_cast<int>(shape.size()), shape.data(), kF32, kFormatAny),
        "layout");
  return MemoryDesc(desc, dnnl_memory_desc_destroy);
}

MemoryDesc row_major_layout(const Shape &shape) {
  std::vector<int> axes;
  for (size_t axis = 0; axis < shape.size(); ++axis) axes.push_back(static_cast<int>(axis));
  return strided_layout(shape, axes);
}

MemoryDesc channels_last_layout(const Shape &shape) {
  std::vector<int> axes = {0};
  for (size_t axis = 2; axis < shape.size(); ++axis) axes.push_back(static_cast<int>(axis));
  axes.push_back(1);
  return strided_layout(shape, axes);
}

std::string implementation(const dnnl_primitive_desc *desc) {
  const char *name = "";
  check(dnnl_primitive_desc_query(desc, kQueryImplementation, 0, &name), "query");
  return name;
}

Primitive::Primitive(dnnl_primitive_desc *desc, const std::vector<Operand> &operands) {
  for (const Operand &operand : operands) {
    const dnnl_memory_desc *internal = dnnl_primitive_desc_query_md(desc, kQueryArgument, operand.argument);
    const dnnl_memory_desc *user = operand.user_layout.get();
    BoundOperand bound{operand.argument, operand.is_output, make_memory(user), nullptr,
                       dnnl_memory_desc_get_size(internal), nullptr};
    if (dnnl_memory_desc_equal(internal, user)) {
      bound.internal = bound.user;
    } else {
      bound.internal = make_memory(internal);
      bound.reorder = operand.is_output ? make_reorder(internal, user) : make_reorder(user, internal);
    }
    operands_.push_back(bound);
  }
  const dnnl_memory_desc *scratchpad = dnnl_primitive_desc_query_md(desc, kQueryArgument, kArgScratchpad);
  scratchpad_bytes_ = dnnl_memory_desc_get_size(scratchpad);
  scratchpad_ = make_memory(scratchpad);
  primitive_ = make_primitive(desc);
}

Primitive::~Primitive() {
  for (const BoundOperand &bound : operands_) {
    if (bound.reorder != nullptr) {
      dnnl_memory_destroy(bound.internal);
      dnnl_primitive_destroy(bound.reorder);
    }
    dnnl_memory_destroy(bound.user);
  }
  dnnl_memory_destroy(scratchpad_);
  dnnl_primitive_destroy(primitive_);
}

void Primitive::run(const std::vector<void *> &data) {
  std::vector<dnnl_exec_arg> args;
  for (size_t i = 0; i < operands_.size(); ++i) {
    BoundOperand &bound = operands_[i];
    check(dnnl_memory_set_data_handle(bound.user, data[i]), "operand");
    if (bound.reorder != nullptr) {
      const int slot = kSlotOperands + static_cast<int>(i);
      check(dnnl_memory_set_data_handle(bound.internal, scratch(slot, bound.internal_bytes)), "operand");
      if (!bound.is_output) execute(bound.reorder, {{kArgSrc, bound.user}, {kArgDst, bound.internal}});
    }
    args.push_back({bound.argument, bound.internal});
  }
  check(dnnl_memory_set_data_handle(scratchpad_, scratch(kSlotScratchpad, scratchpad_bytes_)), "scratchpad");
  args.push_back({kArgScratchpad, scratchpad_});
  execute(primitive_, args);
  for (const BoundOperand &bound : operands_) {
    if (bound.is_output && bound.reorder != nullptr) {
      execute(bound.reorder, {{kArgSrc, bound.internal}, {kArgDst, bound.user}});
    }
  }
  check(dnnl_stream_wait(stream()), "wait");
}

}  // namespace kidneyseg
