// Where a product reads an operand: lines of words that need not lie in memory as a matrix does.
#pragma once
#include "panels.hpp"

namespace mulfree::MF_TARGET {

// Lines are rows of the left operand (Width is that of its panels) or columns of the right one.
template <int Width>
class Source {
 public:
  virtual ~Source() = default;

  // Called once for each chunk of the depth, before its panels are loaded.
  virtual void start_chunk(std::int64_t, int) {}

  // Writes lines [line, line + count), count <= Width, at depths [k, k + depth) as out[depth][Width]. Lines that are
  // missing repeat the last one or are zero: they are computed and dropped.
  virtual void load(std::int64_t line, int count, std::int64_t k, int depth, std::int32_t* out) const = 0;

  // False if some entries do not exist. They are loaded as zeros and count as no term at all, whatever they meet.
  virtual bool complete() const { return true; }

  // Writes in the layout of load which entries exist (all ones) and which do not (0). Not called if all do.
  virtual void mark(std::int64_t, int, std::int64_t, int, std::int32_t*) const {}
};

// The lines of a matrix in memory; strides in elements, between lines and along them.
template <int Width>
class MatrixLines final : public Source<Width> {
 public:
  MatrixLines(const void* data, Format format, std::int64_t line_stride, std::int64_t step)
      : data_(static_cast<const char*>(data)), format_(format), line_stride_(line_stride), step_(step) {}

  void load(std::int64_t line, int count, std::int64_t k, int depth, std::int32_t* out) const override {
    const std::int64_t at = (line * line_stride_ + k * step_) * (format_ == Format::float32 ? 4 : 2);
    pack<Width>(data_ + at, format_, line_stride_, step_, count, depth, out);
  }

 private:
  const char* data_;
  Format format_;
  std::int64_t line_stride_, step_;
};

}  // namespace mulfree::MF_TARGET
