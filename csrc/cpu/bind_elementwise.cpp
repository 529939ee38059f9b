#include <algorithm>
#include <stdexcept>

#include "binding.hpp"
#include "dispatch.hpp"
#include "elementwise.hpp"

namespace mulfree {
namespace {

using Address = std::uintptr_t;

constexpr std::int64_t kRelease = 1 << 14;  // elements from which other Python threads may run meanwhile

const float* source(Address address) { return reinterpret_cast<const float*>(address); }

const Operation& operation(int code) {
  const ElementwiseKernels& kernels = *current().elementwise;
  if (code < 0 || code >= kernels.count) throw std::invalid_argument("unknown operation");
  return kernels.operations[code];
}

void flat(int code, Address out, Address a, Address b, Address c, std::int64_t n, std::int32_t offset, int threads) {
  const float* operands[kMaxOperands] = {source(a), source(b), source(c)};
  if (n < kRelease) return run_flat(operation(code), reinterpret_cast<float*>(out), operands, n, offset, 1);
  nanobind::gil_scoped_release release;
  run_flat(operation(code), reinterpret_cast<float*>(out), operands, n, offset, threads);
}

// `first` is the number of the first element in the tensor that x is part of, a multiple of 32.
void dropout(Address x, Address out, Address seed, std::int64_t n, std::int64_t first, std::uint32_t threshold,
             std::uint32_t scale, int threads) {
  const auto key = *reinterpret_cast<const std::uint64_t*>(seed);
  const Dropout how{{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)},
                    threshold, static_cast<std::int32_t>(scale), first / 2};
  nanobind::gil_scoped_release release;
  run_dropout(*current().elementwise, reinterpret_cast<float*>(out), source(x), n, how, threads);
}

void broadcast(int code, Address out, const nanobind::tuple& sizes, const nanobind::tuple& operands,
               std::int32_t offset, int threads) {
  const Operation& chosen = operation(code);
  Broadcast shape;
  shape.operands = chosen.operands;
  shape.dimensions = static_cast<int>(sizes.size());
  if (sizes.size() > kMaxDimensions) throw std::invalid_argument("more than 16 dimensions");
  if (static_cast<int>(operands.size()) != chosen.operands) throw std::invalid_argument("wrong number of operands");
  for (int d = 0; d < shape.dimensions; ++d) shape.sizes[d] = Operand::number(sizes, d);
  const float* sources[kMaxOperands];
  for (int k = 0; k < chosen.operands; ++k) {
    const Operand operand(operands[k]);
    for (int d = 0; d < shape.dimensions; ++d) shape.strides[k][d] = operand.stride(d, sizes);
    sources[k] = source(operand.address());
  }
  nanobind::gil_scoped_release release;
  run_broadcast(chosen, reinterpret_cast<float*>(out), sources, shape, offset, threads);
}

}  // namespace

void bind_elementwise(nanobind::module_& m) {
  m.def("operations", [] {
    std::vector<std::string> names;
    for (int k = 0; k < current().elementwise->count; ++k) names.emplace_back(current().elementwise->operations[k].name);
    return names;
  });
  m.def("flat", &flat);
  m.def("broadcast", &broadcast);
  m.def("dropout", &dropout);
}

}  // namespace mulfree
