// CUDA tensors without a device, for a torch that is built without CUDA: their memory is the processor's, and torch's
// operations on them are those of the processor. What a device would refuse is refused: operands on both sides, and
// while a graph is captured whatever waits for the device.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>
#include <torch/library.h>

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture.hpp"

namespace {

constexpr auto kCUDA = c10::DeviceType::CUDA;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  static constexpr c10::DeviceType static_type = kCUDA;
  c10::DeviceType type() const override { return kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return {kCUDA, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, getDevice()); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return getStream(getDevice()); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};

struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  int getNumGPUs() const override { return 1; }
};

// Storages of the device by those of the processor whose memory they are.
std::mutex lock;
std::unordered_map<c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>> known;

void forget(void* context) {
  auto* memory = static_cast<c10::Storage*>(context);
  {
    const std::lock_guard<std::mutex> held(lock);
    const auto entry = known.find(memory->unsafeGetStorageImpl());
    if (entry != known.end() && entry->second.expired()) known.erase(entry);
  }
  delete memory;
}

c10::Storage storage_there(const c10::Storage& here) {
  const std::lock_guard<std::mutex> held(lock);
  auto& entry = known.try_emplace(here.unsafeGetStorageImpl(), c10::weak_intrusive_ptr<c10::StorageImpl>(
      c10::intrusive_ptr<c10::StorageImpl>())).first->second;
  if (auto found = entry.lock()) return c10::Storage(std::move(found));
  c10::DataPtr memory(here.mutable_data(), new c10::Storage(here), &forget, c10::Device(kCUDA, 0));
  c10::Storage made(c10::Storage::use_byte_size_t(), here.nbytes(), std::move(memory), nullptr, false);
  entry = made.getWeakStorageImpl();
  return made;
}

at::Tensor with(c10::Storage storage, const at::Tensor& like, c10::DispatchKey key) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}

c10::Storage storage_here(const c10::Storage& there) {
  return *static_cast<c10::Storage*>(there.data_ptr().get_context());
}

at::Tensor here(const at::Tensor& x) { return with(storage_here(x.storage()), x, c10::DispatchKey::CPU); }

bool there(const at::Tensor& x) { return x.defined() && x.device().type() == kCUDA; }

// What a call's tensors are on the processor, and back.
struct Call {
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs;  // there, here
  bool device_seen = false, host_seen = false;  // among its tensors
  bool to_device = false, to_host = false;      // by its argument `device`
  bool numbers_seen = false;                     // tensors of the processor without dimensions

  at::Tensor send(const at::Tensor& x) {
    if (!there(x)) {
      if (x.defined()) (x.dim() > 0 ? host_seen : numbers_seen) = true;
      return x;
    }
    device_seen = true;
    for (auto& [before, alias] : pairs)
      if (before.is_same(x)) return alias;
    return pairs.emplace_back(x, here(x)).second;
  }
  at::Tensor receive(const at::Tensor& x) const {
    if (!x.defined()) return x;
    for (const auto& [before, alias] : pairs)
      if (alias.is_same(x)) return before;
    return x.device().is_cpu() && !to_host ? with(storage_there(x.storage()), x, c10::DispatchKey::CUDA) : x;
  }
  // What an operation has done to its operands' shapes and memory.
  void update() const {
    for (const auto& [before, alias] : pairs) {
      auto* impl = before.unsafeGetTensorImpl();
      if (alias.storage().data() != before.storage().data() || alias.storage().nbytes() != before.storage().nbytes())
        impl->set_storage_keep_dtype(storage_there(alias.storage()));
      if (alias.sizes() != before.sizes() || alias.strides() != before.strides() ||
          alias.storage_offset() != before.storage_offset())
        impl->set_sizes_and_strides(alias.sizes(), alias.strides(), alias.storage_offset());
    }
  }
};

template <class Convert>
void convert(c10::IValue& value, const Convert& tensor) {
  if (value.isTensor()) {
    value = tensor(value.toTensor());
  } else if (value.isTensorList()) {
    auto list = value.toTensorList();
    c10::List<at::Tensor> made;
    for (const at::Tensor& x : list) made.push_back(tensor(x));
    value = made;
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> made;
    for (const std::optional<at::Tensor>& x : value.toOptionalTensorList())
      made.push_back(x ? std::optional<at::Tensor>(tensor(*x)) : std::nullopt);
    value = made;
  }
}

// Whether the host learns from the device what it needs to go on.
bool asks(const c10::OperatorHandle& op) {
  return op.hasTag(at::Tag::data_dependent_output) || op.hasTag(at::Tag::dynamic_output_shape);
}

// Copies, and indices, which torch takes from the processor's memory.
bool may_mix(const std::string& name) {
  return name == "aten::copy_" || name == "aten::index" || name.rfind("aten::index_put", 0) == 0 ||
         name == "aten::_index_put_impl_";
}

// A captured operation writes to the memory of its first results.
void keep(const c10::OperatorHandle& op, torch::jit::Stack arguments, torch::jit::Stack results) {
  simulated::graph().add([op, arguments = std::move(arguments), results = std::move(results)] {
    const at::NoGradGuard without_gradients;
    torch::jit::Stack stack = arguments;
    op.callBoxed(stack);
    for (std::size_t i = 0; i < stack.size(); ++i)
      if (stack[i].isTensor() && !stack[i].toTensor().is_alias_of(results[i].toTensor()))
        results[i].toTensor().copy_(stack[i].toTensor());
  });
}

void run(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  const std::string name = op.schema().name();
  const std::size_t arguments = op.schema().arguments().size(), results = op.schema().returns().size();
  Call call;
  for (auto value = stack->end() - arguments; value != stack->end(); ++value) {
    convert(*value, [&call](const at::Tensor& x) { return call.send(x); });
    if (value->isStorage() && value->toStorage().device_type() == kCUDA) *value = storage_here(value->toStorage());
    if (!value->isDevice()) continue;
    (value->toDevice().is_cpu() ? call.to_host : call.to_device) = true;
    *value = c10::Device(c10::kCPU);
  }
  const bool mixed = call.device_seen && call.host_seen;
  TORCH_CHECK(!mixed || may_mix(name), "Expected all tensors to be on the same device, but ", name,
              " got some on the CPU");
  const bool sends = call.to_device && (call.host_seen || call.numbers_seen);
  const bool fetches = call.device_seen && call.to_host;
  const bool capturing = simulated::graph().capturing();
  TORCH_CHECK(!capturing || !(mixed || sends || fetches || asks(op)),
              "operation not permitted when stream is capturing: ", name);
  torch::jit::Stack before;
  if (capturing) before.assign(stack->end() - arguments, stack->end());
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.callBoxed(stack);
  }
  if (capturing) keep(op, std::move(before), torch::jit::Stack(stack->end() - results, stack->end()));
  call.update();
  for (auto value = stack->end() - results; value != stack->end(); ++value)
    convert(*value, [&call](const at::Tensor& x) { return call.receive(x); });
}

}  // namespace

namespace at {
REGISTER_CUDA_HOOKS(CUDAHooks)
}
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run>()); }

// Operations that torch composes of others reach for kernels of the device below the dispatcher.
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.getNamespace() != "aten") continue;
    const auto op = c10::Dispatcher::singleton().findOp(name);
    if (op && op->hasSchema() && op->hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutograd))
      m.impl(c10::toString(name).c_str(), torch::CppFunction::makeFromBoxedFunction<&run>());
  }
}

namespace simulated {
Graph& graph() {
  static Graph one;
  return one;
}
}  // namespace simulated

extern "C" {
void simulated_capture_begin() { simulated::graph().begin(); }
void simulated_capture_end() { simulated::graph().end(); }
bool simulated_capturing() { return simulated::graph().capturing(); }
void simulated_replay() { simulated::graph().replay(); }
}
