#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace mulfree {

void bind_matmul(nanobind::module_& m);
void bind_convolution(nanobind::module_& m);
void bind_elementwise(nanobind::module_& m);
void bind_rows(nanobind::module_& m);
void bind_steps(nanobind::module_& m);

}  // namespace mulfree
