#include "threads.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "float_environment.hpp"

namespace mulfree {
namespace {

using Team = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
std::atomic<Team> team{nullptr};

struct Share {
  Task task;
  void* context;
  std::int64_t count;
  std::atomic<std::int64_t> next{0};

  static void run(void* self) {
    auto& share = *static_cast<Share*>(self);
    FloatEnvironment environment;
    for (std::int64_t i = share.next++; i < share.count; i = share.next++) share.task(share.context, i);
  }
};

void run_on_own_threads(Share& share, int threads) {
  std::vector<std::thread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(Share::run, &share);
  Share::run(&share);
  for (auto& helper : helpers) helper.join();
}

}  // namespace

void set_thread_team(void* function) { team = reinterpret_cast<Team>(function); }

void parallel_for(int threads, std::int64_t count, Task task, void* context) {
  Share share{task, context, count};
  if (count < threads) threads = static_cast<int>(count);
  if (threads <= 1) return Share::run(&share);
  if (Team function = team.load()) return function(Share::run, &share, static_cast<unsigned>(threads), 0);
  run_on_own_threads(share, threads);
}

}  // namespace mulfree
