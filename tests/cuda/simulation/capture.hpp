// A captured graph: what has been queued, in order, to be done again.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

namespace simulated {

class Graph {
 public:
  void begin() {
    const std::lock_guard<std::mutex> held(lock_);
    steps_.clear();
    capturing_ = true;
  }
  void end() { capturing_ = false; }
  bool capturing() const { return capturing_; }
  void add(std::function<void()> step) {
    const std::lock_guard<std::mutex> held(lock_);
    steps_.push_back(std::move(step));
  }
  void replay() const {
    for (const auto& step : steps_) step();
  }

 private:
  std::mutex lock_;
  std::vector<std::function<void()>> steps_;
  std::atomic<bool> capturing_{false};
};

// The one that is captured, or that was.
Graph& graph();

}  // namespace simulated
