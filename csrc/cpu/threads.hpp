// Work sharing. torch's OpenMP pool is used when it is loaded (two pools on one machine would fight for the
// cores), else threads of our own.
#pragma once
#include <cstdint>
#include <type_traits>

namespace mulfree {

using Task = void (*)(void* context, std::int64_t index);

// Runs task(context, 0 .. count-1), each index once, on up to `threads` threads in the law's float environment.
// Indices are handed out in ascending order; which thread takes which never changes a result.
void parallel_for(int threads, std::int64_t count, Task task, void* context);

// `team` has the signature of GOMP_parallel; null goes back to threads of our own.
void set_thread_team(void* team);

template <class Body>
void parallel_for(int threads, std::int64_t count, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  parallel_for(
      threads, count, [](void* context, std::int64_t index) { (*static_cast<Plain*>(context))(index); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace mulfree
