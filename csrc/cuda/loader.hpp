// From memory to shared memory by way of registers: a slice of kSlice of the depth of a panel, encoded when it is
// stored. While one slice is used the next one is on its way.
#pragma once
#include "ways.hpp"

namespace mulfree::MF_TARGET {

constexpr int kSlice = 8;

// Slices of one panel; the padding spreads the lines of one depth over the banks.
template <int lines>
struct alignas(16) Slices {
  std::int32_t words[2][kSlice][lines + 4];
};

// Places of the depths of a chunk, or of the lines of a tile, for patches: found once and used by all threads.
template <int count>
struct Places {
  std::int64_t offset[count];
  std::int32_t at[kAxes][count];

  void set(int i, const Place& place) {
    offset[i] = place.offset;
    for (int a = 0; a < kAxes; ++a) at[a][i] = place.at[a];
  }
  Place get(int i) const { return {offset[i], {at[0][i], at[1][i], at[2][i]}}; }
};

// Which line and step of a slice a thread takes as its number i. Where neighbours in depth are neighbours in memory,
// neighbouring threads take these.
template <int lines, bool deep>
struct Shares {
  static constexpr int kWords = (lines * kSlice + kThreads - 1) / kThreads;
  static constexpr int kApart = deep ? kThreads / kSlice : (kThreads + lines - 1) / lines;  // lines, or steps
  static_assert(kThreads % kSlice == 0 && (kThreads % lines == 0 || lines % kThreads == 0));

  static int number(int i) { return static_cast<int>(threadIdx.x) + i * kThreads; }
  static int line(int i) { return deep ? number(0) / kSlice + i * kApart : number(i) % lines; }
  static int step(int i) { return deep ? number(0) % kSlice : number(i) / lines; }
  static bool exists(int i) { return lines * kSlice % kThreads == 0 || number(i) < lines * kSlice; }
};

template <int lines, bool patches, bool deep>
class Loader {
  using Share = Shares<lines, deep>;

 public:
  struct Tables {
    Places<patches ? lines : 1> lines_;
    Places<patches ? kDotChunk : 1> depths;
  };

  // All threads of the block make one, and wait before the first fetch.
  Loader(const Reader<patches>& reader, std::int64_t first, std::int64_t count, Tables& tables)
      : reader_(reader), tables_(tables), count_(static_cast<int>(least(count - first, lines))) {
    if constexpr (patches) {
      for (int i = static_cast<int>(threadIdx.x); i < count_; i += kThreads) tables_.lines_.set(i, reader.line(first + i));
    } else {
      first_ = reader.line(first + Share::line(0)).offset;
    }
  }

  // Likewise.
  void start_chunk(std::int64_t k, int depth) {
    depth_ = depth;
    if constexpr (patches) {
      for (int d = static_cast<int>(threadIdx.x); d < depth; d += kThreads) tables_.depths.set(d, reader_.depth(k + d));
    } else {
      next_ = first_ + reader_.depth(k + Share::step(0)).offset;
    }
  }

  // The next slice of the chunk, number `slice`.
  void fetch(int slice) {
    MF_UNROLL
    for (int i = 0; i < Share::kWords; ++i) {
      const int line = Share::line(i), d = slice * kSlice + Share::step(i);
      staged_[i] = kMissing;
      if (!Share::exists(i) || line >= count_ || d >= depth_) continue;
      if constexpr (patches) staged_[i] = reader_.word(tables_.lines_.get(line), tables_.depths.get(d));
      else staged_[i] = reader_.word(next_ + offset(i));
    }
    if constexpr (!patches) next_ += kSlice * reader_.depth_stride();
  }

  void store(Slices<lines>& words, Slices<lines>& signs, int buffer, Way way, std::int32_t addend, std::int32_t zero) {
    MF_UNROLL
    for (int i = 0; i < Share::kWords; ++i) {
      if (!Share::exists(i)) continue;
      const int line = Share::line(i), step = Share::step(i);
      words.words[buffer][step][line] = encoded(way, staged_[i], addend, zero);
      if (!kSlopes && way == Way::clamped) signs.words[buffer][step][line] = staged_[i] & kSign;
    }
  }

 private:
  // From the thread's first word of a slice to number i.
  std::int64_t offset(int i) const {
    return (Share::line(i) - Share::line(0)) * reader_.line_stride() +
           (Share::step(i) - Share::step(0)) * reader_.depth_stride();
  }

  const Reader<patches> reader_;
  Tables& tables_;
  std::int64_t first_ = 0, next_ = 0;
  int count_, depth_ = 0;
  std::int32_t staged_[Share::kWords];
};

}  // namespace mulfree::MF_TARGET
