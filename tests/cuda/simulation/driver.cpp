// What the launcher asks of the CUDA driver, for kernels that tests/cuda/build.py has compiled for the processor. A
// "cubin" is the path of such a library.
#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "../emulator.hpp"
#include "capture.hpp"

namespace simulated {
namespace {

enum Result { kSuccess = 0, kInvalidValue = 1, kNotFound = 500, kNoContext = 201 };
constexpr int kVersion = 13000;

struct Kernel {
  void (*run)(const void*);
  void (*emulate)(const emulated::Call*);
  const char* (*faults)();
  std::uint64_t (*parameter_bytes)();
};

int device_context;  // the address of the one context
thread_local void* current_context = nullptr;
std::mutex running;
std::atomic<std::uint64_t> launches{0}, last_stream{0};

// Blocks one after the other; the emulation knows one launch at a time.
Result run(const Kernel& kernel, const std::vector<char>& parameter, const unsigned (&blocks)[3], unsigned threads) {
  const std::lock_guard<std::mutex> held(running);
  emulated::Call call{};
  call.kernel = kernel.run;
  call.arguments = parameter.data();
  call.argument_bytes = parameter.size();
  std::memcpy(call.blocks, blocks, sizeof blocks);
  call.threads = threads;
  kernel.emulate(&call);
  return *kernel.faults() ? kInvalidValue : kSuccess;
}

}  // namespace
}  // namespace simulated

using namespace simulated;

extern "C" {

int cuInit(unsigned) { return kSuccess; }
int cuDriverGetVersion(int* version) { return *version = kVersion, kSuccess; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal == 0 ? kSuccess : kInvalidValue; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &device_context, kSuccess; }
int cuCtxGetCurrent(void** context) { return *context = current_context, kSuccess; }
int cuCtxSetCurrent(void* context) { return current_context = context, kSuccess; }
int cuGetErrorName(int, const char** text) { return *text = "an error of the simulation", kSuccess; }
int cuGetErrorString(int, const char** text) { return *text = "an error of the simulation", kSuccess; }

int cuLibraryLoadData(void** library, const void* code, void*, void*, unsigned, void*, void*, unsigned) {
  *library = dlopen(static_cast<const char*>(code), RTLD_NOW | RTLD_LOCAL);
  return *library ? kSuccess : kInvalidValue;
}
int cuLibraryUnload(void*) { return kSuccess; }
int cuLibraryGetKernel(void** kernel, void* library, const char* name) {
  auto* found = new Kernel{};
  reinterpret_cast<void*&>(found->run) = dlsym(library, name);
  reinterpret_cast<void*&>(found->emulate) = dlsym(library, "emulate");
  reinterpret_cast<void*&>(found->faults) = dlsym(library, "emulated_faults");
  *kernel = found;
  reinterpret_cast<void*&>(found->parameter_bytes) = dlsym(library, (std::string(name) + "_bytes").c_str());
  return found->run && found->emulate && found->faults && found->parameter_bytes ? kSuccess : kNotFound;
}

int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned,
                   void* stream, void** parameters, void**) {
  if (current_context != &device_context) return kNoContext;
  if (!function || !parameters || x == 0 || y == 0 || z == 0 || threads == 0) return kInvalidValue;
  ++launches;
  last_stream = reinterpret_cast<std::uint64_t>(stream);
  const Kernel kernel = *static_cast<Kernel*>(function);
  const char* start = static_cast<const char*>(parameters[0]);
  const std::vector<char> parameter(start, start + kernel.parameter_bytes());
  auto step = [=] {
    const unsigned blocks[3] = {x, y, z};
    return run(kernel, parameter, blocks, threads);
  };
  if (graph().capturing()) graph().add([step] { step(); });
  return step();
}

std::uint64_t simulated_launches() { return launches; }
std::uint64_t simulated_last_stream() { return last_stream; }

// Functions that are not here fail where they are called.
int cuGetProcAddress_v2(const char* name, void** function, int, std::uint64_t, int* status) {
  *function = dlsym(RTLD_DEFAULT, name);
  if (status) *status = *function ? 0 : 1;
  return *function ? kSuccess : kNotFound;
}
int cuGetProcAddress(const char* name, void** function, int, std::uint64_t, int* status) {
  return cuGetProcAddress_v2(name, function, 0, 0, status);
}
}
