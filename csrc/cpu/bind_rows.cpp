#include "binding.hpp"
namespace mulfree { void bind_rows(nanobind::module_&) {} }
