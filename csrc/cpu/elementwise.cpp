#include "elementwise.hpp"

#include "gelu.hpp"
#include "logistic.hpp"
#include "random.hpp"

namespace mulfree::MF_TARGET {
namespace {

// Each operation is a function object on vectors, made from the compensation offset.

struct Mul {
  static constexpr int operands = 2;
  Offset offset;
  explicit Mul(std::int32_t o) : offset(o) {}
  Int operator()(Int a, Int b) const { return mul(a, b, offset); }
};

struct MulGrad {
  static constexpr int operands = 3;
  Offset offset;
  explicit MulGrad(std::int32_t o) : offset(o) {}
  Int operator()(Int grad, Int a, Int b) const { return mul_grad(grad, a, b, offset); }
};

template <Int (*function)(Int)>
struct Unary {
  static constexpr int operands = 1;
  explicit Unary(std::int32_t) {}
  Int operator()(Int x) const { return function(x); }
};

template <Int (*function)(Int, Int)>
struct Binary {
  static constexpr int operands = 2;
  explicit Binary(std::int32_t) {}
  Int operator()(Int a, Int b) const { return function(a, b); }
};

template <Int (*function)(Int, Int, Int)>
struct Ternary {
  static constexpr int operands = 3;
  explicit Ternary(std::int32_t) {}
  Int operator()(Int a, Int b, Int c) const { return function(a, b, c); }
};

template <class Load, class F>
inline Int apply(const F& function, const float* const* in, Load load_one) {
  if constexpr (F::operands == 1) return function(load_one(in[0]));
  if constexpr (F::operands == 2) return function(load_one(in[0]), load_one(in[1]));
  if constexpr (F::operands == 3) return function(load_one(in[0]), load_one(in[1]), load_one(in[2]));
}

template <class F>
void run(float* out, const float* const* operands, std::int64_t n, std::int32_t offset) {
  const F function(offset);
  const float* in[F::operands];
  for (int k = 0; k < F::operands; ++k) in[k] = operands[k];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, apply(function, in, [i](const float* p) { return load(p + i); }));
  if (i == n) return;
  Int part = first_lanes(n - i);
  store_part(out + i, part, apply(function, in, [i, part](const float* p) { return load_part(p + i, part); }));
}

template <class F>
constexpr Operation operation(const char* name) {
  return {name, F::operands, run<F>};
}

const Operation operations[] = {
    operation<Mul>("mul"),
    operation<MulGrad>("mul_grad"),
    operation<Binary<div>>("div"),
    operation<Ternary<div_grad_numerator>>("div_grad_numerator"),
    operation<Ternary<div_grad_denominator>>("div_grad_denominator"),
    operation<Ternary<div_grad_denominator_approximate>>("div_grad_denominator_approximate"),
    operation<Unary<exp2>>("exp2"),
    operation<Unary<log2>>("log2"),
    operation<Unary<exp>>("exp"),
    operation<Unary<log>>("log"),
    operation<Unary<sqrt>>("sqrt"),
    operation<Unary<gelu_fast>>("gelu"),
    operation<Unary<sigmoid_fast>>("sigmoid"),
    operation<Unary<silu_fast>>("silu"),
    operation<Unary<tanh_fast>>("tanh"),
    operation<Binary<exp2_grad>>("exp2_grad"),
    operation<Binary<log2_grad>>("log2_grad"),
    operation<Binary<d_exp<true>>>("exp_grad"),
    operation<Binary<d_log<true>>>("log_grad"),
    operation<Binary<d_sqrt<true>>>("sqrt_grad"),
    operation<Binary<d_gelu_fast<true>>>("gelu_grad"),
    operation<Binary<d_sigmoid_fast<true>>>("sigmoid_grad"),
    operation<Binary<d_silu_fast<true>>>("silu_grad"),
    operation<Binary<d_tanh_fast<true>>>("tanh_grad"),
    operation<Binary<exp2_grad_approximate>>("exp2_grad_approximate"),
    operation<Binary<log2_grad_approximate>>("log2_grad_approximate"),
    operation<Binary<d_exp<false>>>("exp_grad_approximate"),
    operation<Binary<d_log<false>>>("log_grad_approximate"),
    operation<Binary<d_sqrt<false>>>("sqrt_grad_approximate"),
    operation<Binary<d_gelu_fast<false>>>("gelu_grad_approximate"),
    operation<Binary<d_sigmoid_fast<false>>>("sigmoid_grad_approximate"),
    operation<Binary<d_silu_fast<false>>>("silu_grad_approximate"),
    operation<Binary<d_tanh_fast<false>>>("tanh_grad_approximate"),
};

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels{operations, sizeof operations / sizeof operations[0], dropout};

}  // namespace mulfree::MF_TARGET
