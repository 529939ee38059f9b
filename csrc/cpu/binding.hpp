#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <stdexcept>

namespace mulfree {

void bind_matmul(nanobind::module_& m);
void bind_convolution(nanobind::module_& m);
void bind_elementwise(nanobind::module_& m);
void bind_rows(nanobind::module_& m);
void bind_steps(nanobind::module_& m);

// A tensor that is broadcast: a Python tuple of its address, sizes and strides.
class Operand {
 public:
  explicit Operand(nanobind::handle operand)
      : fields_(nanobind::cast<nanobind::tuple>(operand)), sizes_(field(1)), strides_(field(2)) {
    if (sizes_.size() != strides_.size()) throw std::invalid_argument("sizes and strides differ in number");
  }

  std::uintptr_t address() const { return nanobind::cast<std::uintptr_t>(fields_[0]); }
  // Stride by a dimension of `result`, counted from the last; 0 where this tensor is repeated.
  std::int64_t stride(std::size_t dimension, const nanobind::tuple& result) const {
    const std::size_t behind = result.size() - dimension;
    if (behind > sizes_.size()) return 0;
    const std::size_t own = sizes_.size() - behind;
    return number(sizes_, own) == 1 ? 0 : number(strides_, own);
  }
  std::int64_t own_stride(std::size_t behind) const { return number(strides_, sizes_.size() - behind); }
  std::size_t dimensions() const { return sizes_.size(); }

  static std::int64_t number(const nanobind::tuple& numbers, std::size_t i) {
    return nanobind::cast<std::int64_t>(numbers[i]);
  }

 private:
  nanobind::tuple field(std::size_t i) const {
    if (fields_.size() != 3) throw std::invalid_argument("an operand is (address, sizes, strides)");
    return nanobind::cast<nanobind::tuple>(fields_[i]);
  }
  nanobind::tuple fields_, sizes_, strides_;
};

}  // namespace mulfree
