#include "binding.hpp"
#include "dispatch.hpp"
#include "steps.hpp"

namespace mulfree {
namespace {

using Address = std::uintptr_t;
using Words = std::vector<std::uint32_t>;
using Release = nanobind::call_guard<nanobind::gil_scoped_release>;

const float* source(Address address) { return reinterpret_cast<const float*>(address); }
float* sink(Address address) { return reinterpret_cast<float*>(address); }
const StepKernels& kernels() { return *current().steps; }
std::int32_t word(const Words& words, std::size_t k) { return static_cast<std::int32_t>(words.at(k)); }

void sgd(Address param, Address grad, Address buffer, std::int64_t n, const Words& w, bool nesterov, int threads) {
  kernels().sgd(sink(param), source(grad), sink(buffer), n, {word(w, 0), word(w, 1), word(w, 2), word(w, 3)}, nesterov,
                threads);
}

void adam(Address param, Address grad, Address exp_avg, Address exp_avg_sq, Address max_exp_avg_sq, std::int64_t n,
          const Words& w, int threads) {
  kernels().adam(sink(param), source(grad), sink(exp_avg), sink(exp_avg_sq), sink(max_exp_avg_sq), n,
                 {word(w, 0), word(w, 1), word(w, 2), word(w, 3), word(w, 4), word(w, 5), word(w, 6), word(w, 7)},
                 threads);
}

void rmsprop(Address param, Address grad, Address square_avg, Address grad_avg, Address buffer, std::int64_t n,
             const Words& w, int threads) {
  kernels().rmsprop(sink(param), source(grad), sink(square_avg), sink(grad_avg), sink(buffer), n,
                    {word(w, 0), word(w, 1), word(w, 2), word(w, 3), word(w, 4)}, threads);
}

void lion(Address param, Address grad, Address exp_avg, std::int64_t n, const Words& w, int threads) {
  kernels().lion(sink(param), source(grad), sink(exp_avg), n, {word(w, 0), word(w, 1), word(w, 2), word(w, 3)},
                 threads);
}

void moving_average(Address average, Address param, std::int64_t n, std::uint32_t share, int threads) {
  kernels().moving_average(sink(average), source(param), n, static_cast<std::int32_t>(share), threads);
}

}  // namespace

void bind_steps(nanobind::module_& m) {
  m.def("sgd", &sgd, Release());
  m.def("adam", &adam, Release());
  m.def("rmsprop", &rmsprop, Release());
  m.def("lion", &lion, Release());
  m.def("moving_average", &moving_average, Release());
}

}  // namespace mulfree
