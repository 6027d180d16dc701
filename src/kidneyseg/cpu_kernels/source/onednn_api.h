// The part of oneDNN's C interface that the kernels use, declared here because MindSpore's wheel carries the library
// (libdnnl.so.3, of which the kernels load a copy) without its headers. The C interface and the numbers below are
// stable throughout oneDNN 3.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

namespace kidneyseg {

constexpr int kCpu = 1, kF32 = 3, kFormatAny = 1;
constexpr int kForwardTraining = 64, kConvolutionDirect = 1;
constexpr int kScratchpadUser = 1, kMathStrict = 0, kMathBf16 = 1;
constexpr int kIsaDefault = 0;
constexpr int kQueryImplementation = 8, kQueryArgument = 255;

// DNNL_ARG_*
enum ExecArgument { kArgSrc = 1, kArgDst = 17, kArgWeights = 33, kArgScratchpad = 80, kArgDiffSrc = 129,
                    kArgDiffDst = 145, kArgDiffWeights = 161 };

}  // namespace kidneyseg

struct dnnl_engine;
struct dnnl_stream;
struct dnnl_memory;
struct dnnl_memory_desc;
struct dnnl_primitive;
struct dnnl_primitive_attr;
struct dnnl_primitive_desc;
struct dnnl_exec_arg {
  int arg;
  dnnl_memory *memory;
};

extern "C" {
int dnnl_set_max_cpu_isa(int isa);
int dnnl_threadpool_interop_set_max_concurrency(int threads);
int dnnl_engine_create(dnnl_engine **engine, int kind, size_t index);
int dnnl_threadpool_interop_stream_create(dnnl_stream **stream, dnnl_engine *engine, void *threadpool);
int dnnl_memory_desc_create_with_strides(dnnl_memory_desc **desc, int ndims, const int64_t *dims, int type,
                                         const int64_t *strides);
int dnnl_memory_desc_create_with_tag(dnnl_memory_desc **desc, int ndims, const int64_t *dims, int type, int tag);
int dnnl_memory_desc_destroy(dnnl_memory_desc *desc);
int dnnl_memory_desc_equal(const dnnl_memory_desc *left, const dnnl_memory_desc *right);
size_t dnnl_memory_desc_get_size(const dnnl_memory_desc *desc);
int dnnl_memory_create(dnnl_memory **memory, const dnnl_memory_desc *desc, dnnl_engine *engine, void *handle);
int dnnl_memory_set_data_handle(dnnl_memory *memory, void *handle);
int dnnl_memory_destroy(dnnl_memory *memory);
int dnnl_primitive_attr_create(dnnl_primitive_attr **attr);
int dnnl_primitive_attr_set_scratchpad_mode(dnnl_primitive_attr *attr, int mode);
int dnnl_primitive_attr_set_fpmath_mode(dnnl_primitive_attr *attr, int mode);
int dnnl_convolution_forward_primitive_desc_create(
    dnnl_primitive_desc **out, dnnl_engine *engine, int prop_kind, int algorithm, const dnnl_memory_desc *src,
    const dnnl_memory_desc *weights, const dnnl_memory_desc *bias, const dnnl_memory_desc *dst, const int64_t *strides,
    const int64_t *dilates, const int64_t *padding_low, const int64_t *padding_high, const dnnl_primitive_attr *attr);
int dnnl_convolution_backward_data_primitive_desc_create(
    dnnl_primitive_desc **out, dnnl_engine *engine, int algorithm, const dnnl_memory_desc *diff_src,
    const dnnl_memory_desc *weights, const dnnl_memory_desc *diff_dst, const int64_t *strides, const int64_t *dilates,
    const int64_t *padding_low, const int64_t *padding_high, const dnnl_primitive_desc *hint,
    const dnnl_primitive_attr *attr);
int dnnl_convolution_backward_weights_primitive_desc_create(
    dnnl_primitive_desc **out, dnnl_engine *engine, int algorithm, const dnnl_memory_desc *src,
    const dnnl_memory_desc *diff_weights, const dnnl_memory_desc *diff_bias, const dnnl_memory_desc *diff_dst,
    const int64_t *strides, const int64_t *dilates, const int64_t *padding_low, const int64_t *padding_high,
    const dnnl_primitive_desc *hint, const dnnl_primitive_attr *attr);
int dnnl_reorder_primitive_desc_create(dnnl_primitive_desc **out, const dnnl_memory_desc *src, dnnl_engine *src_engine,
                                       const dnnl_memory_desc *dst, dnnl_engine *dst_engine,
                                       const dnnl_primitive_attr *attr);
const dnnl_memory_desc *dnnl_primitive_desc_query_md(const dnnl_primitive_desc *desc, int what, int index);
int dnnl_primitive_desc_query(const dnnl_primitive_desc *desc, int what, int index, void *result);
int dnnl_primitive_desc_destroy(dnnl_primitive_desc *desc);
int dnnl_primitive_create(dnnl_primitive **primitive, const dnnl_primitive_desc *desc);
int dnnl_primitive_destroy(dnnl_primitive *primitive);
int dnnl_primitive_execute(const dnnl_primitive *primitive, dnnl_stream *stream, int count, const dnnl_exec_arg *args);
int dnnl_stream_wait(dnnl_stream *stream);
}

namespace dnnl {
namespace threadpool_interop {
// oneDNN calls the pool through this table of virtual functions: names do not matter, the order does.
struct threadpool_iface {
  virtual int get_num_threads() const = 0;
  virtual bool get_in_parallel() const = 0;
  virtual void parallel_for(int count, const std::function<void(int, int)> &job) = 0;
  virtual uint64_t get_flags() const = 0;
  virtual ~threadpool_iface() {}
};
}  // namespace threadpool_interop
}  // namespace dnnl
