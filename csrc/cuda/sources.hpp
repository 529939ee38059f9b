// Operands of products wherever they lie: matrices of any strides, and patches of images that are never written out.
// Both are addressed by a line and a depth.
#pragma once
#include "lanes.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t kMissing = 0x7fffffff;  // no number: a term that is not there (NaNs become kNan when loaded)
constexpr int kAxes = 3;

// Where an entry lies: elements from the first one, and coordinates that must be within the data.
struct Place {
  std::int64_t offset = 0;
  std::int32_t at[kAxes] = {};
};

// An index as four digits, the last one first, and what each adds to the place.
struct Walk {
  Divider sizes[kAxes];  // of the last three digits
  std::int64_t strides[kAxes + 1];
  std::int64_t starts[kAxes], steps[kAxes];  // coordinates by the last three digits

  Place place(std::int64_t index) const {
    Place found;
    MF_UNROLL
    for (int d = 0; d < kAxes; ++d) {
      const std::int64_t digit = sizes[d].divide(&index);
      found.offset += digit * strides[d];
      found.at[d] = static_cast<std::int32_t>(starts[d] + digit * steps[d]);
    }
    found.offset += index * strides[kAxes];
    return found;
  }
};

struct Source {
  const void* data;
  std::int64_t start;  // of this batch, in elements
  Walk lines, depth;
  std::int64_t bounds[kAxes];
};

// float16 to float32 without a multiplication; every denormal is a normal number there.
inline std::int32_t widen_half(std::uint32_t half) {
  const std::int32_t sign = static_cast<std::int32_t>(half & 0x8000u) << 16, low = half & 0x7fff;
  if (low >= 0x7c00) return low > 0x7c00 ? kNan : sign | kInf;
  if (low >= 0x0400) return sign | ((low << 13) + 112 * kStep);
  return low == 0 ? sign : sign | (__float_as_int(__int2float_rn(low)) - 24 * kStep);
}

// Rounded half-even after `drop` bits less; a number.
inline std::int32_t narrowed(std::int32_t word, int drop) {
  if (drop == 0) return word;
  const std::uint32_t bits = static_cast<std::uint32_t>(word), odd = bits >> drop & 1;
  const std::uint32_t rounded = (bits + (1u << (drop - 1)) - 1 + odd) >> drop << drop;
  return static_cast<std::int32_t>(rounded);
}

// A word of the law: denormals flushed, mantissas narrowed, NaNs canonical.
inline std::int32_t lawful(std::int32_t word, int drop) {
  const std::int32_t size = word & kMagnitude;
  if (size >= kInf) return size > kInf ? kNan : word;
  return size < kMin ? word & kSign : narrowed(word, drop);
}

// MF_FORMAT: 0 float32, 1 float16, 2 bfloat16.
#if MF_FORMAT == 0
using Stored = std::int32_t;
#else
using Stored = std::uint16_t;
#endif

// What is in memory as a float32 word.
inline std::int32_t widened(std::int32_t bits) {
#if MF_FORMAT == 0
  return bits;
#elif MF_FORMAT == 1
  return widen_half(static_cast<std::uint32_t>(bits));
#else
  return bits << 16;
#endif
}

// A source that is a matrix (its walks have one digit), or one with patches.
template <bool patches>
struct Reader {
  const Source& source;
  const std::int64_t start;
  const int drop;

  Place line(std::int64_t index) const {
    if constexpr (patches) return source.lines.place(index);
    else return {index * source.lines.strides[0] + start};
  }
  Place depth(std::int64_t index) const {
    if constexpr (patches) return source.depth.place(index);
    else return {index * source.depth.strides[0]};
  }
  // Whether there is an entry.
  bool holds([[maybe_unused]] const Place& line, [[maybe_unused]] const Place& depth) const {
    bool inside = true;
    if constexpr (patches) {
      MF_UNROLL
      for (int d = 0; d < kAxes; ++d)
        inside &= static_cast<std::uint32_t>(line.at[d] + depth.at[d]) < static_cast<std::uint32_t>(source.bounds[d]);
    }
    return inside;
  }
  // Where it is. Nothing that is read here may be looked at before other entries are asked for.
  const Stored* entry(const Place& line, const Place& depth) const {
    return static_cast<const Stored*>(source.data) + (line.offset + depth.offset + (patches ? start : 0));
  }
  std::int64_t line_stride() const { return source.lines.strides[0]; }
  std::int64_t depth_stride() const { return source.depth.strides[0]; }
};

}  // namespace mulfree::MF_TARGET
