"""Logistic function and tangent of the recurrent cells, with both derivatives, by the backend's kernels (spec 7)."""

from __future__ import annotations

from torch import Tensor

from mulfree.backends.contract import Backend


def product_grad(backend: Backend, exact: bool, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Derivative of ``mul(a, b)`` by a."""
    return backend.mul_grad(grad, a, b) if exact else backend.mul(b, grad)


def sigmoid(backend: Backend, x: Tensor) -> Tensor:
    return backend.unary("sigmoid", x)


def sigmoid_grad(backend: Backend, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
    return backend.unary_grad("sigmoid", grad, x, exact)


def tanh(backend: Backend, x: Tensor) -> Tensor:
    return backend.unary("tanh", x)


def tanh_grad(backend: Backend, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
    return backend.unary_grad("tanh", grad, x, exact)
