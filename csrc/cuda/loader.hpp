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

// Which line and step of a slice a thread takes as its number i: `line_apart` and `step_apart` of its number 0. Where
// neighbours in depth are neighbours in memory, neighbouring threads take these.
template <int lines, bool deep>
struct Shares {
  static constexpr int kWords = (lines * kSlice + kThreads - 1) / kThreads;
  static constexpr int kParts = deep || kThreads >= lines ? 1 : lines / kThreads;  // of the lines of a step
  static_assert(kWords <= 32 && kThreads % kSlice == 0 && (kThreads % lines == 0 || lines % kThreads == 0));

  static int thread() { return static_cast<int>(threadIdx.x); }
  static int line() { return deep ? thread() / kSlice : thread() % lines; }
  static int step() { return deep ? thread() % kSlice : thread() / lines; }
  static constexpr int line_apart(int i) { return deep ? i * (kThreads / kSlice) : i % kParts * kThreads; }
  static constexpr int step_apart(int i) { return deep ? 0 : i / kParts * (kThreads >= lines ? kThreads / lines : 1); }
  static bool exists(int i) { return lines * kSlice % kThreads == 0 || thread() + i * kThreads < lines * kSlice; }
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
      : reader_(reader), tables_(tables), line_(Share::line()), step_(Share::step()),
        count_(static_cast<int>(least(count - first, lines))) {
    if constexpr (patches) {
      for (int i = static_cast<int>(threadIdx.x); i < count_; i += kThreads)
        tables_.lines_.set(i, reader.line(first + i));
    } else {
      first_ = reader.entry(reader.line(first + line_), {});
      to_next_line_ = Share::line_apart(1) * reader.line_stride();
      to_next_step_ = deep ? to_next_line_
                           : Share::step_apart(Share::kParts) * reader.depth_stride() -
                                 Share::line_apart(Share::kParts - 1) * reader.line_stride();
      to_next_slice_ = kSlice * reader.depth_stride();
    }
  }

  // Likewise.
  void start_chunk(std::int64_t k, int depth) {
    depth_ = depth;
    if constexpr (patches) {
      for (int d = static_cast<int>(threadIdx.x); d < depth; d += kThreads) tables_.depths.set(d, reader_.depth(k + d));
    } else {
      next_ = first_ + reader_.depth(k + step_).offset;
    }
  }

  // Asks for the next slice of the chunk, number `slice`. What comes is looked at when it is stored, so that all of it
  // is on its way together, and while the slice before is used.
  void fetch(int slice) {
    [[maybe_unused]] const Stored* from = next_;
    if constexpr (patches) there_ = 0;
    MF_UNROLL
    for (int i = 0; i < Share::kWords; ++i) {
      staged_[i] = 0;
      if constexpr (patches) {
        if (!in_panel(i, slice)) continue;
        const Place line = tables_.lines_.get(line_ + Share::line_apart(i));
        const Place depth = tables_.depths.get(slice * kSlice + step_ + Share::step_apart(i));
        if (!reader_.holds(line, depth)) continue;
        staged_[i] = *reader_.entry(line, depth);
        there_ |= 1u << i;
      } else {
        if (in_panel(i, slice)) staged_[i] = *from;
        from += i % Share::kParts == Share::kParts - 1 ? to_next_step_ : to_next_line_;
      }
    }
    if constexpr (!patches) next_ += to_next_slice_;
  }

  // Encodes what was fetched last.
  void store(Slices<lines>& words, Slices<lines>& signs, int slice, Way way, std::int32_t addend, std::int32_t zero) {
    const int buffer = slice % 2;
    if (way == Way::general) {
      put(words, buffer, [=, this](int i) {
        const bool there = patches ? there_ >> i & 1 : in_panel(i, slice);
        return there ? lawful(widened(staged_[i]), reader_.drop) : kMissing;
      });
      return;
    }
    const std::int32_t kept = way == Way::clamped ? kMagnitude : ~0;
    if (reader_.drop == 0) {
      put(words, buffer, [=, this](int i) { return encoded(widened(staged_[i]), kept, addend, zero); });
    } else {
      put(words, buffer,
          [=, this](int i) { return encoded(lawful(widened(staged_[i]), reader_.drop), kept, addend, zero); });
    }
    if (!kSlopes && way == Way::clamped) put(signs, buffer, [this](int i) { return widened(staged_[i]) & kSign; });
  }

 private:
  // Whether the panel and the chunk reach as far as a word of a slice.
  bool in_panel(int i, int slice) const {
    return Share::exists(i) && Share::line_apart(i) < count_ - line_ &&
           Share::step_apart(i) < depth_ - slice * kSlice - step_;
  }

  template <class Word>
  void put(Slices<lines>& target, int buffer, const Word& word) {
    MF_UNROLL
    for (int i = 0; i < Share::kWords; ++i)
      if (Share::exists(i)) target.words[buffer][step_ + Share::step_apart(i)][line_ + Share::line_apart(i)] = word(i);
  }

  const Reader<patches> reader_;
  Tables& tables_;
  const Stored *first_ = nullptr, *next_ = nullptr;
  std::int64_t to_next_line_ = 0, to_next_step_ = 0, to_next_slice_ = 0;  // from a word to the thread's next one
  const int line_, step_;
  int count_, depth_ = 0;
  std::uint32_t there_ = 0;  // a bit for each word of patches
  std::int32_t staged_[Share::kWords];
};

}  // namespace mulfree::MF_TARGET
