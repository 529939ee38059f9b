// The one file that knows Python. Pointers, sizes and strides cross the border; src/mulfree/backends/cpu.py has
// validated them.
#include "binding.hpp"

#include "dispatch.hpp"
#include "threads.hpp"

NB_MODULE(_cpu, m) {
  using namespace mulfree;
  m.doc() = "Native kernels of mulfree's CPU backend; called by mulfree.backends.cpu only.";
  m.def("targets", [] {
    std::vector<std::string> names;
    for (const Target& target : targets())
      if (target.supported()) names.emplace_back(target.name);
    return names;
  });
  m.def("target", [] { return std::string(current().name); });
  m.def("choose", &choose);
  m.def("set_thread_team", [](std::uintptr_t team) { set_thread_team(reinterpret_cast<void*>(team)); });
  bind_matmul(m);
  bind_convolution(m);
  bind_elementwise(m);
  bind_rows(m);
  bind_steps(m);
}
