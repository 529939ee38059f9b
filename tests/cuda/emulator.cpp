// Runs a kernel block by block. Threads are fibers that hand over where they wait for others.
#include "emulator.hpp"

#include <setjmp.h>
#include <ucontext.h>
#include <xmmintrin.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "emulated_device.hpp"

namespace emulated {
Thread* current;

namespace {

constexpr std::size_t kStack = 64 * 1024;
constexpr std::size_t kLanes = 32;

// What threads wait for; all that wait together must wait for the same.
struct Wait {
  Barrier kind;
  const void* code;
};

struct Warp {
  std::uint32_t words[2][kLanes];
  bool any[2];
  int live = 0, arrived = 0;
  unsigned turn = 0;
  std::uint32_t epoch = 0;
  Wait wait;
};

struct Fiber {
  Thread thread;
  ucontext_t start;
  jmp_buf state;
  char* stack;
  bool started, done;
  Warp* warp;
};

Call call;
std::vector<Fiber> fibers;
std::unique_ptr<char[]> stacks;
std::vector<Warp> warps;
ucontext_t scheduler_start;
jmp_buf scheduler;
Fiber* running;
std::mt19937 draw;
int live, arrived;
unsigned turn;
Wait block_wait;
std::uint32_t block, epoch, epoch_at_start, last_epoch;
std::uint64_t progress;  // grows whenever a thread has got further

void pass_block() {
  if (live == 0 || arrived < live) return;
  arrived = 0;
  ++turn;
  epoch = ++last_epoch;
}

void pass_warp(Warp& warp) {
  if (warp.live == 0 || warp.arrived < warp.live) return;
  warp.arrived = 0;
  ++warp.turn;
  warp.any[warp.turn & 1] = false;  // what the next exchange collects
  if (warp.wait.kind == Barrier::warp) warp.epoch = ++last_epoch;
}

void yield() {
  Fiber* self = running;
  if (!_setjmp(self->state)) _longjmp(scheduler, 1);
}

void run_thread() {
  call.kernel(call.arguments);
  if (running->warp->arrived > 0) report("a lane ends while others wait at", nullptr, running->warp->wait.code);
  running->done = true;
  ++progress;
  --live;
  --running->warp->live;
  pass_block();
  pass_warp(*running->warp);
  _longjmp(scheduler, 1);
}

void resume(Fiber& fiber) {
  if (fiber.done) return;
  running = &fiber;
  current = &fiber.thread;
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.state, 1);
  fiber.started = true;
  swapcontext(&scheduler_start, &fiber.start);
}

// 0, ..., count - 1 as the schedule wants them.
std::vector<std::size_t> ordered(std::size_t count) {
  std::vector<std::size_t> found(count);
  std::iota(found.begin(), found.end(), 0);
  if (call.order == Order::backward) std::reverse(found.begin(), found.end());
  if (call.order == Order::random || call.order == Order::warps) std::shuffle(found.begin(), found.end(), draw);
  return found;
}

void run_round() {
  if (call.order != Order::warps) {
    for (std::size_t i : ordered(fibers.size())) resume(fibers[i]);
    return;
  }
  for (std::size_t warp : ordered(warps.size())) {
    const std::vector<std::size_t> lanes = ordered(kLanes);
    std::uint64_t before;
    do {
      before = progress;
      for (std::size_t lane : lanes)
        if (warp * kLanes + lane < fibers.size()) resume(fibers[warp * kLanes + lane]);
    } while (progress != before);
  }
}

void begin_block() {
  const std::size_t count = fibers.size();
  warps.assign((count + kLanes - 1) / kLanes, Warp{});
  live = static_cast<int>(count);
  arrived = 0;
  epoch = epoch_at_start = ++last_epoch;
  for (std::size_t i = 0; i < count; ++i) {
    Fiber& fiber = fibers[i];
    fiber.started = fiber.done = false;
    fiber.warp = &warps[i / kLanes];
    ++fiber.warp->live;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack;
    fiber.start.uc_stack.ss_size = kStack;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, run_thread, 0);
  }
}

// False if its threads wait for each other.
bool run_block() {
  begin_block();
  while (live > 0) {
    const std::uint64_t before = progress;
    run_round();
    if (progress == before) {
      report("threads of a block wait for ever, the others of the block at", block_wait.code);
      return false;
    }
  }
  return true;
}

// Notes what a thread is going to wait for; `count` others wait already.
void arrive(Wait& wait, int& count, Barrier kind, const void* code) {
  if (count == 0) wait = {kind, code};
  else if (wait.kind != kind || wait.code != code) report("threads wait at different barriers", code, wait.code);
  ++count;
  ++progress;
}

unsigned arrive_at_warp(Warp& warp, Barrier kind, unsigned mask, const void* code) {
  if (mask != 0xffffffffu) report("the emulation knows whole warps only", code);
  if (warp.live < static_cast<int>(kLanes)) report("lanes of the warp have ended", code);
  arrive(warp.wait, warp.arrived, kind, code);
  return warp.turn;
}

}  // namespace

Moment now() {
  return {block, static_cast<std::uint32_t>(running - fibers.data()), epoch, running->warp->epoch};
}

std::uint32_t first_epoch() { return epoch_at_start; }

bool is_private(std::uintptr_t address) {
  const auto within = [address](const void* start, std::size_t bytes) {
    return address - reinterpret_cast<std::uintptr_t>(start) < bytes;
  };
  return within(running->stack, kStack) || within(fibers.data(), fibers.size() * sizeof(Fiber)) ||
         within(&current, sizeof current);
}

void may_switch() {
  if (call.switching == 0 || draw() % call.switching) return;
  ++progress;
  yield();
}

void report_too_many() { report("more threads than the kernel is for", __builtin_return_address(0)); }

void wait_for_block(Barrier kind) {
  const unsigned before = turn;
  arrive(block_wait, arrived, kind, __builtin_return_address(0));
  pass_block();
  while (turn == before) yield();
}

bool any_of_block(bool value) {
  static bool any[2];
  const unsigned before = turn;
  if (arrived == 0) any[before & 1] = false;
  any[before & 1] |= value;
  arrive(block_wait, arrived, Barrier::block_or, __builtin_return_address(0));
  pass_block();
  while (turn == before) yield();
  return any[before & 1];
}

std::uint32_t exchange(unsigned mask, std::uint32_t word, int source_lane) {
  Warp& warp = *running->warp;
  const unsigned before = arrive_at_warp(warp, Barrier::exchange, mask, __builtin_return_address(0));
  warp.words[before & 1][lane()] = word;
  pass_warp(warp);
  while (warp.turn == before) yield();
  return warp.words[before & 1][source_lane];
}

bool any_of_warp(unsigned mask, bool value, Barrier kind) {
  Warp& warp = *running->warp;
  const unsigned before = arrive_at_warp(warp, kind, mask, __builtin_return_address(0));
  warp.any[before & 1] |= value;
  pass_warp(warp);
  while (warp.turn == before) yield();
  return warp.any[before & 1];
}

}  // namespace emulated

extern "C" void emulate(const emulated::Call* wanted) {
  using namespace emulated;
  call = *wanted;
  draw.seed(call.seed);
  const std::uint32_t* blocks = call.blocks;
  const unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~0x6000u) | 0x8040);  // round to nearest, flush denormals
  if (fibers.size() != call.threads) {
    fibers = std::vector<Fiber>(call.threads);
    stacks.reset(new char[call.threads * kStack]);
    for (std::uint32_t t = 0; t < call.threads; ++t) fibers[t].stack = stacks.get() + t * kStack;
  }
  last_epoch = 0;
  begin_checks(call);
  for (std::size_t i : ordered(std::size_t{blocks[0]} * blocks[1] * blocks[2])) {
    block = static_cast<std::uint32_t>(i);
    const Index place{block % blocks[0], block / blocks[0] % blocks[1], block / blocks[0] / blocks[1]};
    for (std::uint32_t t = 0; t < call.threads; ++t)
      fibers[t].thread = {{t, 0, 0}, place, {call.threads, 1, 1}, {blocks[0], blocks[1], blocks[2]}};
    if (!run_block()) break;
  }
  end_checks();
  _mm_setcsr(before);
}
