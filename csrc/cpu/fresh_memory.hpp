// Results too large for malloc's own stock come fresh from the system, which clears them one small page at a time, in
// the kernel's first pass over them. Huge pages make that several times quicker.
#pragma once
#include <cstdint>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mulfree {

// To be called before memory that is probably fresh is written in full. Only whole huge pages inside it are asked for.
inline void expect_writes(float* start, std::int64_t count) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::int64_t least = 4 << 20;  // bytes; smaller memory is mostly used again
  constexpr std::uintptr_t page = 2 << 20;
  if (count * 4 < least) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(start) + page - 1) & ~(page - 1);
  const auto end = reinterpret_cast<std::uintptr_t>(start + count) & ~(page - 1);
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: nothing depends on its success
#else
  (void)start, (void)count;
#endif
}

}  // namespace mulfree
