// What the two halves of the emulation tell each other: the threads (emulator.cpp) and the checks of what they do to
// memory (memory_checks.cpp).
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulated {

// Memory that a kernel may use.
enum class Space : std::uint32_t { global, shared, parameter };
struct Range {
  std::uint64_t start, bytes;
  Space space;
};

// How the threads of a block, and the blocks of a grid, take turns.
enum class Order : std::uint32_t {
  forward,
  backward,
  random,  // drawn again each time that all threads have had their turn
  warps,   // a warp at a time goes as far as it can; warps and their threads at random
};

// A launch; emulator.py has the same.
struct Call {
  void (*kernel)(const void*);
  const void* arguments;
  std::uint64_t argument_bytes;
  std::uint32_t blocks[3], threads;
  Order order;
  std::uint32_t seed;
  std::uint32_t switching;  // a thread hands over before one access to memory in so many; 0: at barriers only
  std::uint32_t checked;
  const Range* ranges;  // those of the tensors and of shared memory, if checked
  std::uint64_t range_count;
};

// Who does something, and when. Epochs count barriers, over all blocks of a launch: of a block, and of its warps.
struct Moment {
  std::uint32_t block, thread, epoch, warp_epoch;
};
Moment now();
// The first epoch of the block that runs.
std::uint32_t first_epoch();

// Whether memory is the running thread's own, or the emulation's; another thread's stack is neither.
bool is_private(std::uintptr_t address);
// Perhaps another thread's turn.
void may_switch();

// Notes a fault; code addresses, of which the second may be 0, become places in the sources.
void report(const char* what, const void* code, const void* other_code = nullptr);

void begin_checks(const Call& call);
void end_checks();

}  // namespace emulated
