// Checks each access to memory of a launch. Kernels are compiled with -fsanitize=thread, which puts a call before every
// access; these calls come here, no library of the sanitizer is linked.
//
// Two accesses of different threads to a word, one of them a write, are a race unless a barrier is between them: that
// of the block, or __syncwarp for threads of one warp. Nothing orders blocks. Shuffles and votes order nothing.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "emulated_device.hpp"
#include "emulator.hpp"

namespace emulated {
namespace {

constexpr std::size_t kWord = 4;
constexpr std::uint32_t kWarpThreads = 32;
constexpr std::size_t kMostReports = 20;

// An access that is remembered; none while its epoch is 0.
struct Access {
  Moment at{};
  const void* code = nullptr;
  explicit operator bool() const { return at.epoch != 0; }
};

// What has been done to a word: enough to find some unordered access wherever there is one.
struct Word {
  Access write, constant;  // the last ones; `constant` by __ldg
  Access read;             // the last one
  Access in_warp, in_block, in_grid;  // before it, by another thread, warp, block
};

struct Region {
  std::uintptr_t begin, end;
  Space space;
  std::vector<Word> words;
};

bool checking;
std::vector<Region> regions;  // in ascending order, apart
std::size_t recent;           // the region of the last access
std::set<std::tuple<std::string, const void*, const void*>> seen;
std::string reports;

bool same_warp(const Moment& a, const Moment& b) { return a.thread / kWarpThreads == b.thread / kWarpThreads; }

bool unordered(const Moment& then, const Moment& at) {
  if (then.block != at.block) return true;
  if (then.thread == at.thread || then.epoch != at.epoch) return false;
  return !same_warp(then, at) || then.warp_epoch == at.warp_epoch;
}

void check_order(const char* what, const Access& then, const Access& at) {
  if (then && unordered(then.at, at.at)) report(what, at.code, then.code);
}

void note_read(Word& word, const Access& at) {
  if (word.read && word.read.at.block != at.at.block) {
    word.in_grid = word.read;
    word.in_warp = word.in_block = Access{};
  } else if (word.read && !same_warp(word.read.at, at.at)) {
    word.in_block = word.read;
    word.in_warp = Access{};
  } else if (word.read && word.read.at.thread != at.at.thread) {
    word.in_warp = word.read;
  }
  word.read = at;
}

void check_word(Word& word, Space space, bool write, const Access& at) {
  if (space == Space::shared && std::max(word.write.at.epoch, word.read.at.epoch) < first_epoch())
    word = Word{};  // shared memory begins with the block
  if (!write) {
    if (space == Space::shared && !word.write) report("shared memory is read before the block has written it", at.code);
    check_order("race: a read, and a write at", word.write, at);
    return note_read(word, at);
  }
  check_order("race: a write, and a write at", word.write, at);
  for (const Access& read : {word.read, word.in_warp, word.in_block, word.in_grid})
    check_order("race: a write, and a read at", read, at);
  if (word.constant) report("a write to what the launch reads as constant at", at.code, word.constant.code);
  word.write = at;
}

// That of an address; null if it is in none.
Region* region_of(std::uintptr_t address) {
  const auto holds = [address](const Region& r) { return r.begin <= address && address < r.end; };
  if (recent < regions.size() && holds(regions[recent])) return &regions[recent];
  const auto above = std::upper_bound(regions.begin(), regions.end(), address,
                                      [](std::uintptr_t a, const Region& r) { return a < r.begin; });
  if (above == regions.begin() || !holds(*(above - 1))) return nullptr;
  recent = static_cast<std::size_t>(above - 1 - regions.begin());
  return &regions[recent];
}

void check(const volatile void* place, std::size_t bytes, bool write, bool aligned, const void* code) {
  const auto address = reinterpret_cast<std::uintptr_t>(place);
  if (!checking || bytes == 0 || is_private(address)) return;
  if (aligned && address % bytes) report("an address that is no multiple of the size", code);
  Region* region = region_of(address);
  if (!region || address + bytes > region->end)
    return report(write ? "a write out of bounds" : "a read out of bounds", code);
  if (region->space == Space::parameter) {
    if (write) report("a write to the kernel's parameter", code);
    return;
  }
  const Access at{now(), code};
  for (std::uintptr_t w = (address - region->begin) / kWord; w <= (address + bytes - 1 - region->begin) / kWord; ++w)
    check_word(region->words[w], region->space, write, at);
  may_switch();
}

void add_region(std::uintptr_t begin, std::uint64_t bytes, Space space) {
  regions.push_back({begin, begin + bytes, space, {}});
}

// Tensors may be parts of one another.
void join_regions() {
  std::sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) { return a.begin < b.begin; });
  std::vector<Region> apart;
  for (const Region& region : regions) {
    if (apart.empty() || region.begin >= apart.back().end) apart.push_back(region);
    else apart.back().end = std::max(apart.back().end, region.end);
  }
  regions = std::move(apart);
}

// A return address as a place in the library: the call before it.
std::string place_of(const void* code) {
  Dl_info info;
  if (!code || !dladdr(code, &info)) return "?";
  char text[32];
  const auto distance = static_cast<const char*>(code) - static_cast<const char*>(info.dli_fbase);
  std::snprintf(text, sizeof text, "+0x%tx", distance - 1);
  return text;
}

}  // namespace

void report(const char* what, const void* code, const void* other_code) {
  if (seen.size() >= kMostReports || !seen.insert({what, code, other_code}).second) return;
  const Moment at = now();
  reports += std::string(what) + (other_code ? " " + place_of(other_code) : "") + ", by thread " +
             std::to_string(at.thread) + " of block " + std::to_string(at.block) + " at " + place_of(code) + "\n";
}

void begin_checks(const Call& call) {
  seen.clear();
  reports.clear();
  regions.clear();
  recent = 0;
  if (!call.checked) return;
  for (std::uint64_t i = 0; i < call.range_count; ++i)
    add_region(call.ranges[i].start, call.ranges[i].bytes, call.ranges[i].space);
  add_region(reinterpret_cast<std::uintptr_t>(call.arguments), call.argument_bytes, Space::parameter);
  join_regions();
  for (Region& region : regions) region.words.resize((region.end - region.begin + kWord - 1) / kWord);
  checking = true;
}

void end_checks() { checking = false; }

void read_constant(const void* address, std::size_t bytes) {
  const auto start = reinterpret_cast<std::uintptr_t>(address);
  if (!checking || is_private(start)) return;
  Region* const region = region_of(start);
  if (!region || start + bytes > region->end) return;  // the read itself is reported
  const void* code = __builtin_return_address(0);
  if (region->space != Space::global) return report("a read of shared memory as constant", code);
  Word& word = region->words[(start - region->begin) / kWord];
  if (word.write) report("a read as constant of what the launch writes at", code, word.write.code);
  word.constant = {now(), code};
}

}  // namespace emulated

// Faults of the last launch, a line each.
extern "C" const char* emulated_faults() { return emulated::reports.c_str(); }

#define MF_CHECK(place, bytes, write, aligned) emulated::check(place, bytes, write, aligned, __builtin_return_address(0))
#define MF_ACCESS(bytes)                                                                          \
  extern "C" void __tsan_read##bytes(void* place) { MF_CHECK(place, bytes, false, true); }         \
  extern "C" void __tsan_write##bytes(void* place) { MF_CHECK(place, bytes, true, true); }         \
  extern "C" void __tsan_unaligned_read##bytes(void* place) { MF_CHECK(place, bytes, false, false); } \
  extern "C" void __tsan_unaligned_write##bytes(void* place) { MF_CHECK(place, bytes, true, false); }
MF_ACCESS(1)
MF_ACCESS(2)
MF_ACCESS(4)
MF_ACCESS(8)
MF_ACCESS(16)
extern "C" void __tsan_read_range(void* place, std::size_t bytes) { MF_CHECK(place, bytes, false, false); }
extern "C" void __tsan_write_range(void* place, std::size_t bytes) { MF_CHECK(place, bytes, true, false); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit(void*) {}

// Calls that the compiler has left in a kernel; the names are changed in its object.
extern "C" void* checked_memcpy(void* to, const void* from, std::size_t bytes) {
  MF_CHECK(from, bytes, false, false);
  MF_CHECK(to, bytes, true, false);
  return std::memcpy(to, from, bytes);
}
extern "C" void* checked_memmove(void* to, const void* from, std::size_t bytes) {
  MF_CHECK(from, bytes, false, false);
  MF_CHECK(to, bytes, true, false);
  return std::memmove(to, from, bytes);
}
extern "C" void* checked_memset(void* to, int value, std::size_t bytes) {
  MF_CHECK(to, bytes, true, false);
  return std::memset(to, value, bytes);
}
