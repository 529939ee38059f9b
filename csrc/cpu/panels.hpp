// Packing: strips of a matrix, `Width` rows (left) or columns (right) wide and up to kDotChunk deep, laid out
// [depth][Width] as float32 words with denormals flushed and mantissas narrowed.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "matmul.hpp"
#include "scalar.hpp"
#include "simd.hpp"
#include "windows.hpp"

namespace mulfree::MF_TARGET {

inline std::int32_t widen_half(std::uint16_t half) {
  const std::int32_t sign = std::int32_t(half & 0x8000u) << 16, magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return sign | kInf | (magnitude & 0x3ff) << 13;
  if (magnitude >= 0x0400) return sign | ((magnitude << 13) + (112 << 23));
  if (magnitude == 0) return sign;
  const int shift = __builtin_clz(magnitude) - 21;  // a denormal half is a normal float
  return sign | ((113 - shift) << 23) | ((magnitude << (shift + 13)) & kMantissa);
}

inline std::int32_t read(const void* data, std::int64_t index, Format format) {
  if (format == Format::float32) {
    std::int32_t word;
    std::memcpy(&word, static_cast<const char*>(data) + index * 4, 4);
    return word;
  }
  std::uint16_t half;
  std::memcpy(&half, static_cast<const char*>(data) + index * 2, 2);
  return format == Format::float16 ? widen_half(half) : std::int32_t(std::uint32_t{half} << 16);
}

template <int Width>
inline void copy_line(const std::int32_t* words, int count, std::int32_t* out) {
  if (count == Width) {
    std::memcpy(out, words, Width * 4);
    return;
  }
  int i = 0;
  for (; i + 4 <= count; i += 4) store_four(out + i, load_four(words + i));
  for (; i < Width; ++i) out[i] = words[std::min(i, count - 1)];
}

// Copies a strip whose `count` (1 to Width) lines are `line_stride` apart, each `depth` long with `step` between
// elements. Lines that are missing repeat the last one: they are computed and dropped, and cannot widen a span.
template <int Width>
void pack(const void* data, Format format, std::int64_t line_stride, std::int64_t step, int count, int depth,
          std::int32_t* out) {
  std::int64_t lines[Width];
  for (int i = 0; i < Width; ++i) lines[i] = std::min(i, count - 1) * line_stride;
  const auto* words = static_cast<const std::int32_t*>(data);
  int k = 0;
  if (format == Format::float32 && step == 1) {
    for (; k + 4 <= depth; k += 4)
      for (int i = 0; i < Width; i += 4) {
        const Four r0 = load_four(words + lines[i] + k), r1 = load_four(words + lines[i + 1] + k);
        const Four r2 = load_four(words + lines[i + 2] + k), r3 = load_four(words + lines[i + 3] + k);
        const Four low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
        const Four low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
        std::int32_t* block = out + k * Width + i;
        store_four(block, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
        store_four(block + Width, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
        store_four(block + 2 * Width, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
        store_four(block + 3 * Width, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
      }
  } else if (format == Format::float32 && line_stride == 1) {
    for (; k < depth; ++k) copy_line<Width>(words + k * step, count, out + k * Width);
  }
  for (; k < depth; ++k)
    for (int i = 0; i < Width; ++i) out[k * Width + i] = read(data, lines[i] + k * step, format);
}

// Flushes and narrows packed words in place; zeros become +0. Writes them plus `bias` to `encoded`, which is right
// where there are no zeros (see encode). Returns the span of their magnitudes.
inline Span survey(std::int32_t* words, int count, int mantissa_bits, std::int32_t bias, std::int32_t* encoded) {
  const int drop = 23 - mantissa_bits;
  Int low = splat(INT32_MAX), high = Int{}, smallest = splat(INT32_MAX);
  for (int i = 0; i < count; i += kLanes) {
    Int word = load(words + i);
    Int magnitude = word & splat(kMagnitude);
    if (drop) {
      const Int rounded = magnitude + splat((1 << (drop - 1)) - 1) + ((magnitude >> drop) & 1);
      const Int narrowed = rounded & splat(~((1 << drop) - 1));
      magnitude = ((magnitude < splat(kInf)) & (magnitude >= splat(kMin))) ? narrowed : magnitude;
    }
    const Int normal = magnitude >= splat(kMin);
    word = (magnitude | (word & splat(kSign))) & normal;
    magnitude = magnitude & normal;
    store(words + i, word);
    if (encoded) store(encoded + i, word + splat(bias));
    smallest = magnitude < smallest ? magnitude : smallest;
    const Int positive = magnitude | (~normal & splat(kMagnitude));
    low = positive < low ? positive : low;
    high = magnitude > high ? magnitude : high;
  }
  Span span;
  std::int32_t lowest = INT32_MAX, highest = 0, least = INT32_MAX;
  for (int lane = 0; lane < kLanes; ++lane) {
    lowest = std::min<std::int32_t>(lowest, low[lane]);
    highest = std::max<std::int32_t>(highest, high[lane]);
    least = std::min<std::int32_t>(least, smallest[lane]);
  }
  span.zero = least == 0;
  span.special = highest >= kInf;
  if (highest > 0) span.low = lowest, span.high = highest;
  return span;
}

// Replaces zeros by the code for zero and adds `bias` to the others. `in` and `out` may be the same.
inline void encode(const std::int32_t* in, int count, std::int32_t bias, std::int32_t zero, std::int32_t* out) {
  for (int i = 0; i < count; i += kLanes) {
    const Int word = load(in + i);
    store(out + i, word == 0 ? splat(zero) : word + splat(bias));
  }
}

// Memory that grows and is kept by its thread.
class Buffer {
 public:
  std::int32_t* take(std::int64_t words) {
    if (words > size_) {
      memory_.reset(static_cast<std::int32_t*>(std::aligned_alloc(64, (words * 4 + 63) / 64 * 64)));
      if (!memory_) throw std::bad_alloc();
      size_ = words;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::int32_t, Free> memory_;
  std::int64_t size_ = 0;
};

// The packed strips of one operand for one chunk.
template <int Width>
struct Panels {
  static constexpr std::int64_t kStride = (Width * kDotChunk + kLanes + 15) / 16 * 16;
  std::int64_t lines = 0, count = 0;
  std::int32_t* raw = nullptr;
  std::int32_t* encoded = nullptr;
  std::int32_t* present = nullptr;  // which words exist (all ones) and which do not (0); null: all, or it is no matter
  std::vector<Span> spans;
  Buffer raw_buffer, encoded_buffer, present_buffer;

  // `biased` panels are encoded even where there is no zero.
  void resize(std::int64_t new_lines, bool biased) {
    lines = new_lines;
    count = (lines + Width - 1) / Width;
    raw = raw_buffer.take(count * kStride);
    encoded = biased ? encoded_buffer.take(count * kStride) : raw;
    spans.resize(count);
  }

  static int padded(int depth) { return (Width * depth + kLanes - 1) / kLanes * kLanes; }

  int lines_of(std::int64_t panel) const {
    return static_cast<int>(std::min<std::int64_t>(Width, lines - panel * Width));
  }

  // `line` is the source's line that is the first of all panels.
  template <class Lines>
  void load_panel(std::int64_t panel, const Lines& source, std::int64_t line, std::int64_t k, int depth,
                  int mantissa_bits, std::int32_t bias) {
    std::int32_t* words = raw + panel * kStride;
    source.load(line + panel * Width, lines_of(panel), k, depth, words);
    for (int i = Width * depth; i < padded(depth); ++i) words[i] = words[0];
    spans[panel] = survey(words, padded(depth), mantissa_bits, bias,
                          encoded == raw ? nullptr : encoded + panel * kStride);
  }

  template <class Lines>
  void mark_panel(std::int64_t panel, const Lines& source, std::int64_t line, std::int64_t k, int depth) {
    if (present) source.mark(line + panel * Width, lines_of(panel), k, depth, present + panel * kStride);
  }

  // Calls body with about `rows` of the panels' rows of `Width` words, evenly spaced.
  template <class Body>
  void sample(int depth, std::int64_t rows, Body&& body) const {
    const std::int64_t total = count * depth, step = total / rows | 1;
    for (std::int64_t at = 0; at < total; at += step) body(raw + at / depth * kStride + at % depth * Width);
  }

  void encode_panel(std::int64_t panel, int depth, std::int32_t bias, std::int32_t zero) {
    encode(raw + panel * kStride, padded(depth), bias, zero, encoded + panel * kStride);
  }
};

}  // namespace mulfree::MF_TARGET
