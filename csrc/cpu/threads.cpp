#include "threads.hpp"

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "float_environment.hpp"

namespace mulfree {
namespace {

using Team = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
std::atomic<Team> team{nullptr};

struct Share {
  Share(Task task, void* context, std::int64_t count) : task(task), context(context), count(count) {}

  Task task;
  void* context;
  std::int64_t count;
  std::atomic<std::int64_t> next{0};
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr failure;  // of the first task that threw; the others are abandoned

  void run_tasks() {
    FloatEnvironment environment;
    for (std::int64_t i = next++; i < count; i = next++) task(context, i);
  }

  static void run(void* self) {
    auto& share = *static_cast<Share*>(self);
    try {
      share.run_tasks();
    } catch (...) {
      share.next = share.count;
      if (!share.failed.test_and_set()) share.failure = std::current_exception();
    }
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
  Share share(task, context, count);
  if (count < threads) threads = static_cast<int>(count);
  if (threads <= 1) return share.run_tasks();
  if (Team function = team.load()) {
    function(Share::run, &share, static_cast<unsigned>(threads), 0);
  } else {
    run_on_own_threads(share, threads);
  }
  if (share.failure) std::rethrow_exception(share.failure);
}

}  // namespace mulfree
