#include "binding.hpp"
#include "matmul.hpp"

namespace mulfree {
void bind_matmul(nanobind::module_&) {}
}  // namespace mulfree
