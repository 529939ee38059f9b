// The kernels of one instruction set, and the choice between them at run time.
#pragma once
#include <string>
#include <vector>

namespace mulfree {

struct MatmulKernels;
struct ElementwiseKernels;
struct RowKernels;
struct StepKernels;
struct ConvolutionKernels;

struct Target {
  const char* name;
  bool (*supported)();
  const MatmulKernels* matmul;
  const ElementwiseKernels* elementwise;
  const RowKernels* rows;
  const StepKernels* steps;
  const ConvolutionKernels* convolution;
};

// Best first; all that this library was built with.
const std::vector<Target>& targets();

// The target in use: the best supported one until `choose` names another.
const Target& current();

// Throws std::invalid_argument for an unknown or unsupported name.
void choose(const std::string& name);

}  // namespace mulfree
