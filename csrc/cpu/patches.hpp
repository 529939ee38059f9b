// The patches of images as lines of a product, gathered while its panels are packed. Positions are counted over all
// images, (n, j0, j1, j2); taps over all channels, (c, t0, t1, t2). A vector of positions is located once, then read
// at many taps.
#pragma once
#include "convolution.hpp"
#include "lanes.hpp"
#include "sources.hpp"

namespace mulfree::MF_TARGET {

// The lanes of `mask` from memory of any kind; the others are zero and their memory is not touched.
inline Int load_lanes(const std::int32_t* source, Int mask) {
#if defined(__AVX512F__) || defined(__AVX2__)
  return load_part(source, mask);
#else
  Int v{};
  for (int i = 0; i < kLanes; ++i)
    if (mask[i]) std::memcpy(reinterpret_cast<char*>(&v) + 4 * i, source + i, 4);
  return v;
#endif
}

// The same for words `at` elements from `source`.
inline Int gather_lanes(const std::int32_t* source, Int at, Int mask) {
#if defined(__AVX512F__)
  return (Int)_mm512_mask_i32gather_epi32(__m512i{}, _mm512_movepi32_mask((__m512i)mask), (__m512i)at, source, 4);
#elif defined(__AVX2__)
  return (Int)_mm256_mask_i32gather_epi32(__m256i{}, source, (__m256i)at, (__m256i)mask, 4);
#else
  Int v{};
  for (int i = 0; i < kLanes; ++i)
    if (mask[i]) std::memcpy(reinterpret_cast<char*>(&v) + 4 * i, source + at[i], 4);
  return v;
#endif
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline std::int64_t positions_of(const Axis* axes) {
  return axes[0].positions * axes[1].positions * axes[2].positions;
}

inline std::int64_t taps_of(const Axis* axes) { return axes[0].taps * axes[1].taps * axes[2].taps; }

// Dense images as patches of one tap.
inline void single_taps(const Axis* axes, Axis* dense) {
  for (int d = 0; d < kAxes; ++d) dense[d] = {axes[d].positions, axes[d].positions, 0, 1, 1, 0};
}

// Fewer products are not worth waking other threads.
inline int threads_for(int threads, std::int64_t products) { return products < 1 << 16 ? 1 : threads; }

// The total with the bias, which is added last, once.
inline Int with_bias(Int total, Int bias) {
  const Float sum = as_float(total) + as_float(bias);
  return sum == sum ? as_int(sum) : splat(kNan);
}

// Some neighbouring positions, at most a vector, and where their taps 0 lie.
struct Points {
  struct Run {
    std::int64_t offset;  // of the element that lane 0 would read
    Int lanes;            // that lie in a row from there
  };
  int count;
  Int exist;                     // the first `count` lanes
  Int at[kAxes];                 // coordinates
  std::int64_t offsets[kLanes];  // of the elements
  Int from_first;                // likewise, from the first one
  bool near;                     // these fit their words
  int runs;
  Run run[kLanes];
};

class Patches {
 public:
  Patches(const Images& images, const Axis* axes) : images_(images) {
    for (int d = 0; d < kAxes; ++d) {
      axes_[d] = axes[d];
      const Axis& axis = axes[d];
      const std::int64_t reach = (axis.positions - 1) * axis.step, last = (axis.taps - 1) * axis.tap_step;
      inside_[d] = axis.start + std::min<std::int64_t>(last, 0) >= 0 &&
                   axis.start + reach + std::max<std::int64_t>(last, 0) < axis.size;
    }
  }

  std::int64_t taps() const { return taps_of(axes_); }
  std::int64_t channel_stride() const { return images_.channel_stride; }
  bool complete() const { return inside_[0] && inside_[1] && inside_[2]; }

  void locate(std::int64_t position, int count, Points* out) const {
    std::int64_t index[kAxes], image = position;
    for (int d = kAxes - 1; d >= 0; --d) index[d] = image % axes_[d].positions, image /= axes_[d].positions;
    out->count = count;
    out->exist = first_lanes(count);
    out->near = true;
    out->runs = 0;
    std::int64_t expected = 0;
    alignas(64) std::int32_t at[kAxes][kLanes] = {}, from_first[kLanes] = {}, lanes[kLanes][kLanes] = {};
    for (int i = 0; i < count; ++i) {
      std::int64_t offset = image * images_.image_stride;
      for (int d = 0; d < kAxes; ++d) {
        const std::int64_t element = axes_[d].start + index[d] * axes_[d].step;
        at[d][i] = static_cast<std::int32_t>(element);
        offset += element * images_.strides[d];
      }
      out->offsets[i] = offset;
      from_first[i] = static_cast<std::int32_t>(offset - out->offsets[0]);
      out->near &= from_first[i] == offset - out->offsets[0];
      if (i == 0 || offset != expected) out->run[out->runs++].offset = offset - i;
      lanes[out->runs - 1][i] = -1;
      expected = offset + 1;
      for (int d = kAxes - 1; d >= 0 && ++index[d] == axes_[d].positions; --d) {
        index[d] = 0;
        if (d == 0) ++image;
      }
    }
    for (int d = 0; d < kAxes; ++d) out->at[d] = load(at[d]);
    out->from_first = load(from_first);
    for (int r = 0; r < out->runs; ++r) out->run[r].lanes = load(lanes[r]);
  }

  // The lanes whose tap t exists.
  Int present(const Points& points, const std::int64_t* tap) const {
    Int lanes = points.exist;
    for (int d = 0; d < kAxes; ++d)
      if (!inside_[d]) {
        const Int at = points.at[d] + splat(static_cast<std::int32_t>(tap[d] * axes_[d].tap_step));
        lanes &= (Int)((Unsigned)at < (Unsigned)splat(static_cast<std::int32_t>(axes_[d].size)));
      }
    return lanes;
  }

  // What a tap of a channel adds to the offsets.
  std::int64_t shift(std::int64_t channel, const std::int64_t* tap) const {
    std::int64_t shift = channel * images_.channel_stride;
    for (int d = 0; d < kAxes; ++d) shift += tap[d] * axes_[d].tap_step * images_.strides[d];
    return shift;
  }

  Int read(const Points& points, Int lanes, std::int64_t shift) const {
    const auto* data = reinterpret_cast<const std::int32_t*>(images_.data) + shift;
    if (points.runs == 1) return load_lanes(data + points.run[0].offset, lanes);
    if (points.runs > kFewRuns && points.near) return gather_lanes(data + points.offsets[0], points.from_first, lanes);
    Int words{};
    for (int r = 0; r < points.runs; ++r) words |= load_lanes(data + points.run[r].offset, lanes & points.run[r].lanes);
    return words;
  }

  // Writes to tap 0 of the points, which exist.
  void write(const Points& points, std::int64_t shift, Int words) const {
    float* data = images_.data + shift;
    if (points.runs == 1) return store_part(data + points.offsets[0], points.exist, words);
    alignas(64) std::int32_t each[kLanes];
    store(each, words);
    for (int i = 0; i < points.count; ++i) std::memcpy(data + points.offsets[i], each + i, 4);
  }

  // Tap number t of a channel as (t0, t1, t2).
  void split(std::int64_t number, std::int64_t* tap) const {
    for (int d = kAxes - 1; d >= 0; --d) tap[d] = number % axes_[d].taps, number /= axes_[d].taps;
  }

 private:
  static constexpr int kFewRuns = 4;

  Images images_;
  Axis axes_[kAxes];
  bool inside_[kAxes];  // no tap of any position falls outside
};

// Lines are positions, the depth is taps.
template <int Width>
class PositionLines final : public Source<Width> {
 public:
  PositionLines(const Patches& patches, std::int64_t first) : patches_(patches), first_(first) {}

  void load(std::int64_t line, int count, std::int64_t k, int depth, std::int32_t* out) const override {
    visit(line, count, k, depth, out, [&](const Points& points, Int lanes, std::int64_t shift) {
      return patches_.read(points, lanes, shift);
    });
  }

  bool mark(std::int64_t line, int count, std::int64_t k, int depth, std::int32_t* out) const override {
    if (patches_.complete()) return false;
    visit(line, count, k, depth, out, [](const Points&, Int lanes, std::int64_t) { return lanes; });
    return true;
  }

 private:
  static constexpr int kVectors = (Width + kLanes - 1) / kLanes;

  // Tap by tap, so that what exists is found once for all channels.
  template <class Word>
  void visit(std::int64_t line, int count, std::int64_t k, int depth, std::int32_t* out, Word&& word) const {
    const std::int64_t taps = patches_.taps(), end = k + depth;
    for (int v = 0; v < kVectors; ++v) {
      Points points{};
      const int here = std::min(count - v * kLanes, kLanes);
      if (here > 0) patches_.locate(first_ + line + v * kLanes, here, &points);
      for (std::int64_t t = 0; t < taps; ++t) {
        std::int64_t tap[kAxes], channel = k / taps + (k % taps > t), at = channel * taps + t;
        if (at >= end) continue;
        patches_.split(t, tap);
        const Int lanes = here > 0 ? patches_.present(points, tap) : Int{};
        std::int64_t shift = patches_.shift(channel, tap);
        for (; at < end; at += taps, shift += patches_.channel_stride()) {
          const Int words = here > 0 ? word(points, lanes, shift) : Int{};
          std::int32_t* target = out + (at - k) * Width + v * kLanes;
          if ((v + 1) * kLanes <= Width) store(target, words);
          else store_part(target, first_lanes(Width - v * kLanes), words);
        }
      }
    }
  }

  const Patches& patches_;
  std::int64_t first_;  // position of line 0
};

// Lines are taps, the depth is positions.
template <int Width>
class TapLines final : public Source<Width> {
 public:
  TapLines(const Patches& patches, std::int64_t first) : patches_(patches), first_(first) {}

  void start_chunk(std::int64_t k, int depth) override {
    present_ = present_buffer_.take(patches_.taps() * kDotChunk);
    for (int at = 0; at < depth; at += kLanes) {
      Points& points = points_[at / kLanes];
      patches_.locate(k + at, std::min(depth - at, kLanes), &points);
      for (std::int64_t t = 0; t < patches_.taps(); ++t) {
        std::int64_t tap[kAxes];
        patches_.split(t, tap);
        store(present_ + t * kDotChunk + at, patches_.present(points, tap));
      }
    }
  }

  void load(std::int64_t line, int count, std::int64_t, int depth, std::int32_t* out) const override {
    visit(line, count, depth, out, [&](const Points& points, Int lanes, std::int64_t shift) {
      return patches_.read(points, lanes, shift);
    });
  }

  bool mark(std::int64_t line, int count, std::int64_t, int depth, std::int32_t* out) const override {
    if (patches_.complete()) return false;
    visit(line, count, depth, out, [](const Points&, Int lanes, std::int64_t) { return lanes; });
    return true;
  }

 private:
  template <class Word>
  void visit(std::int64_t line, int count, int depth, std::int32_t* out, Word&& word) const {
    alignas(64) std::int32_t lines[Width][kDotChunk];
    const std::int64_t taps = patches_.taps();
    for (int i = 0; i < count; ++i) {
      const std::int64_t at = first_ + line + i;
      std::int64_t tap[kAxes];
      patches_.split(at % taps, tap);
      const std::int64_t shift = patches_.shift(at / taps, tap);
      const std::int32_t* present = present_ + at % taps * kDotChunk;
      for (int p = 0; p < depth; p += kLanes) store(&lines[i][p], word(points_[p / kLanes], MF_TARGET::load(present + p), shift));
    }
    pack<Width>(lines, Format::float32, kDotChunk, 1, count, depth, out);
  }

  const Patches& patches_;
  std::int64_t first_;  // tap of line 0
  Points points_[kDotChunk / kLanes];  // of the chunk
  Buffer present_buffer_;
  std::int32_t* present_ = nullptr;  // for each tap, which lanes of the points exist
};

}  // namespace mulfree::MF_TARGET
