#include "binding.hpp"
#include "dispatch.hpp"
#include "fresh_memory.hpp"
#include "rows.hpp"

namespace mulfree {
namespace {

using Address = std::uintptr_t;
using Release = nanobind::call_guard<nanobind::gil_scoped_release>;

const float* source(Address address) { return reinterpret_cast<const float*>(address); }
float* sink(Address address) { return reinterpret_cast<float*>(address); }
float* large_sink(Address address, std::int64_t count) {
  expect_writes(sink(address), count);
  return sink(address);
}
const RowKernels& kernels() { return *current().rows; }

// The three functions of one signature forwards, and of one backwards.
template <auto kernel, bool reduces = false>
void forward(Address x, Address out, Address stats, std::int64_t rows, std::int64_t n, int threads) {
  (kernels().*kernel)(source(x), large_sink(out, reduces ? rows : rows * n), sink(stats), {rows, n, threads});
}

template <auto kernel>
void backward(Address grad, Address x, Address stats, Address out, std::int64_t rows, std::int64_t n, bool exact,
              int threads) {
  (kernels().*kernel)(source(grad), source(x), source(stats), large_sink(out, rows * n), {rows, n, threads}, exact);
}

void sum(Address x, Address out, std::int64_t outer, std::int64_t n, std::int64_t inner, int threads) {
  kernels().sum(source(x), sink(out), outer, n, inner, threads);
}

// Entries that are not `ignore_index`, or -1 if one of them is no class.
std::int64_t count_targets(Address target, std::int64_t rows, std::int64_t classes, std::int64_t ignore_index) {
  const auto* const entries = reinterpret_cast<const std::int64_t*>(target);
  std::int64_t count = 0;
  bool valid = true;
  for (std::int64_t row = 0; row < rows; ++row) {
    const bool kept = entries[row] != ignore_index;
    valid &= !kept || (entries[row] >= 0 && entries[row] < classes);
    count += kept;
  }
  return valid ? count : -1;
}

void cross_entropy(Address x, Address target, Address out, Address stats, std::int64_t rows, std::int64_t n,
                   std::int64_t ignore_index, bool smooth, std::uint32_t by_target, std::uint32_t by_class,
                   int threads) {
  const Smoothing smoothing{ignore_index, smooth, static_cast<std::int32_t>(by_target),
                            static_cast<std::int32_t>(by_class)};
  kernels().cross_entropy(source(x), reinterpret_cast<const std::int64_t*>(target), sink(out), sink(stats),
                          {rows, n, threads}, smoothing);
}

void cross_entropy_grad(Address grad, Address x, Address target, Address stats, Address out, std::int64_t rows,
                        std::int64_t n, std::int64_t ignore_index, bool smooth, std::uint32_t by_target,
                        std::uint32_t by_class, bool exact, int threads) {
  const Smoothing smoothing{ignore_index, smooth, static_cast<std::int32_t>(by_target),
                            static_cast<std::int32_t>(by_class)};
  kernels().cross_entropy_grad(source(grad), source(x), reinterpret_cast<const std::int64_t*>(target), source(stats),
                               large_sink(out, rows * n), {rows, n, threads}, smoothing, exact);
}

void layer_norm(Address x, Address weight, Address bias, Address out, Address stats, std::int64_t rows, std::int64_t n,
                std::uint32_t eps, std::uint32_t count, int threads) {
  kernels().layer_norm(source(x), source(weight), source(bias), large_sink(out, rows * n), sink(stats),
                       {rows, n, threads}, static_cast<std::int32_t>(eps), static_cast<std::int32_t>(count));
}

void layer_norm_grad(Address grad, Address x, Address weight, Address stats, Address out, Address by_weight,
                     Address by_bias, std::int64_t rows, std::int64_t n, std::uint32_t count, bool exact,
                     int threads) {
  kernels().layer_norm_grad(source(grad), source(x), source(weight), source(stats), large_sink(out, rows * n),
                            sink(by_weight), sink(by_bias), {rows, n, threads}, static_cast<std::int32_t>(count),
                            exact);
}

void batch_norm(Address x, Address weight, Address bias, Address out, Address stats, std::int64_t batch,
                std::int64_t channels, std::int64_t positions, std::uint32_t eps, std::uint32_t count, int threads) {
  kernels().batch_norm(source(x), source(weight), source(bias), sink(out), sink(stats),
                       {batch, channels, positions, threads}, static_cast<std::int32_t>(eps),
                       static_cast<std::int32_t>(count));
}

void batch_norm_grad(Address grad, Address x, Address weight, Address stats, Address out, Address by_weight,
                     Address by_bias, std::int64_t batch, std::int64_t channels, std::int64_t positions,
                     std::uint32_t count, bool exact, int threads) {
  kernels().batch_norm_grad(source(grad), source(x), source(weight), source(stats), sink(out), sink(by_weight),
                            sink(by_bias), {batch, channels, positions, threads}, static_cast<std::int32_t>(count),
                            exact);
}

void adamw(Address param, Address grad, Address exp_avg, Address exp_avg_sq, std::int64_t n,
           const std::vector<std::uint32_t>& scalars, int threads) {
  AdamWScalars s;
  std::int32_t* const fields[] = {&s.lr, &s.beta1, &s.beta2, &s.eps, &s.decay, &s.correction1, &s.correction2};
  for (std::size_t k = 0; k < std::size(fields); ++k) *fields[k] = static_cast<std::int32_t>(scalars.at(k));
  kernels().adamw(sink(param), source(grad), sink(exp_avg), sink(exp_avg_sq), n, s, threads);
}

}  // namespace

void bind_rows(nanobind::module_& m) {
  m.def("sum", &sum, Release());
  m.def("softmax", &forward<&RowKernels::softmax>, Release());
  m.def("softmax_grad", &backward<&RowKernels::softmax_grad>, Release());
  m.def("log_softmax", &forward<&RowKernels::log_softmax>, Release());
  m.def("log_softmax_grad", &backward<&RowKernels::log_softmax_grad>, Release());
  m.def("logsumexp", &forward<&RowKernels::logsumexp, true>, Release());
  m.def("logsumexp_grad", &backward<&RowKernels::logsumexp_grad>, Release());
  m.def("count_targets", &count_targets);
  m.def("cross_entropy", &cross_entropy, Release());
  m.def("cross_entropy_grad", &cross_entropy_grad, Release());
  m.def("layer_norm", &layer_norm, Release());
  m.def("layer_norm_grad", &layer_norm_grad, Release());
  m.def("batch_norm", &batch_norm, Release());
  m.def("batch_norm_grad", &batch_norm_grad, Release());
  m.def("adamw", &adamw, Release());
}

}  // namespace mulfree
