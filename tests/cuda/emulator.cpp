// Runs a kernel block by block. Threads are fibers that hand over where they wait for others.
#include "emulated_device.hpp"

#include <setjmp.h>
#include <ucontext.h>
#include <xmmintrin.h>

#include <memory>
#include <vector>

namespace emulated {
Thread* current;

namespace {

constexpr std::size_t kStack = 64 * 1024;
using Kernel = void (*)(const void*);

struct Warp {
  std::uint32_t words[2][32];
  bool any[2];
  int live = 0, arrived = 0;
  unsigned turn = 0;
};

struct Fiber {
  Thread thread;
  ucontext_t start;
  jmp_buf state;
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool started, done;
  Warp* warp;
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
ucontext_t scheduler_start;
jmp_buf scheduler;
Fiber* running;
Kernel kernel;
const void* arguments;
int live, arrived;
unsigned turn;

void pass_block() {
  if (live > 0 && arrived == live) arrived = 0, ++turn;
}

void pass_warp(Warp& warp) {
  if (warp.live == 0 || warp.arrived < warp.live) return;
  warp.arrived = 0;
  ++warp.turn;
  warp.any[warp.turn & 1] = false;  // what the next exchange collects
}

void yield() {
  Fiber* self = running;
  if (!_setjmp(self->state)) _longjmp(scheduler, 1);
}

void run_thread() {
  kernel(arguments);
  running->done = true;
  --live;
  --running->warp->live;
  pass_block();
  pass_warp(*running->warp);
  _longjmp(scheduler, 1);
}

void resume(Fiber& fiber) {
  running = &fiber;
  current = &fiber.thread;
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.state, 1);
  fiber.started = true;
  swapcontext(&scheduler_start, &fiber.start);
}

void run_block() {
  const std::size_t count = fibers.size();
  warps.assign((count + 31) / 32, Warp{});
  live = static_cast<int>(count);
  arrived = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Fiber& fiber = fibers[i];
    fiber.started = fiber.done = false;
    fiber.warp = &warps[i / 32];
    ++fiber.warp->live;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.get();
    fiber.start.uc_stack.ss_size = kStack;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, run_thread, 0);
  }
  while (live > 0)
    for (Fiber& fiber : fibers)
      if (!fiber.done) resume(fiber);
}

}  // namespace

void wait_for_block() {
  const unsigned now = turn;
  ++arrived;
  pass_block();
  while (turn == now) yield();
}

bool any_of_block(bool value) {
  static bool any[2];
  const unsigned now = turn;
  if (arrived == 0) any[now & 1] = false;
  any[now & 1] |= value;
  wait_for_block();
  return any[now & 1];
}

std::uint32_t exchange(std::uint32_t word, int source_lane) {
  Warp& warp = *running->warp;
  const unsigned now = warp.turn;
  warp.words[now & 1][lane()] = word;
  ++warp.arrived;
  pass_warp(warp);
  while (warp.turn == now) yield();
  return warp.words[now & 1][source_lane];
}

bool any_of_warp(bool value) {
  Warp& warp = *running->warp;
  const unsigned now = warp.turn;
  warp.any[now & 1] |= value;
  ++warp.arrived;
  pass_warp(warp);
  while (warp.turn == now) yield();
  return warp.any[now & 1];
}

}  // namespace emulated

extern "C" void emulate(void (*kernel)(const void*), const void* arguments, const std::uint32_t* blocks,
                        std::uint32_t threads) {
  using namespace emulated;
  emulated::kernel = kernel;
  emulated::arguments = arguments;
  const unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~0x6000u) | 0x8040);  // round to nearest, flush denormals
  if (fibers.size() != threads) fibers = std::vector<Fiber>(threads);
  for (std::uint32_t z = 0; z < blocks[2]; ++z)
    for (std::uint32_t y = 0; y < blocks[1]; ++y)
      for (std::uint32_t x = 0; x < blocks[0]; ++x) {
        for (std::uint32_t t = 0; t < threads; ++t)
          fibers[t].thread = {{t, 0, 0}, {x, y, z}, {threads, 1, 1}, {blocks[0], blocks[1], blocks[2]}};
        run_block();
      }
  _mm_setcsr(before);
}
