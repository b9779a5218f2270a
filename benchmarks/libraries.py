"""How each library names NumPy's functions, takes its arrays and differentiates.

Every method returns a function without arguments, ready to be timed. Derivatives come as a flat list in
the order of `Workload.kind`; a library without such a method cannot do it. Next file: suite.py.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import timing
from funcgrad import grad, jacrev, jvp, value_and_grad, vmap

Run = Callable[[], Any]
Program = Callable[..., Any]


class Namespace:
    """A module that spells some of NumPy's functions in its own way."""

    def __init__(self, module: ModuleType, **replaced: Callable[..., Any]) -> None:
        self.module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def flat(value_and_gradients: Program) -> Callable[..., list[Any]]:
    """Return the function with its value and its gradients in one list."""

    def run(*args: Any) -> list[Any]:
        value, gradients = value_and_gradients(*args)
        return [value, *gradients]

    return run


class Library:
    """NumPy itself, and what the others change."""

    family = ""
    xp: Any = np

    def array(self, x: Any) -> Any:
        """Return a NumPy array as the library's own."""
        return x

    def plain(self, result: Any) -> Any:
        """Return the library's array as one of NumPy."""
        return np.asarray(result)

    def primal(self, fun: Program, args: Sequence[Any]) -> Run:
        """Return the program without derivatives."""
        args = [self.array(arg) for arg in args]
        return lambda: fun(*args)


class Funcgrad(Library):
    """funcgrad: the program is plain NumPy."""

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        run = flat(value_and_grad(fun, tuple(range(count))))
        return lambda: run(*args)

    def newton(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        x, v, *rest = args
        gradient = grad(lambda x: fun(x, v, *rest))
        return lambda: list(jvp(gradient, (x,), (v,)))

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        mapped = vmap(jacrev(fun, tuple(range(count))))
        return lambda: list(mapped(*args))


class RowByRow(Library):
    """A library whose loops over rows would be slow: each column is the gradient of a sum over rows."""

    def columns(self, outputs: Sequence[Sequence[Any]]) -> list[Any]:
        """Stack the gradients of all columns into Jacobians."""
        return [np.stack(rows, axis=1) for rows in zip(*outputs, strict=True)]


class Autograd(RowByRow):
    """HIPS autograd."""

    def __init__(self) -> None:
        import autograd
        import autograd.numpy

        self.autograd = autograd
        self.xp = Namespace(
            autograd.numpy, diagonal=lambda x: autograd.numpy.diagonal(x, axis1=-1, axis2=-2)
        )

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        run = flat(self.autograd.value_and_grad(fun, tuple(range(count))))
        return lambda: run(*args)

    def newton(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        x, v, *rest = args
        gradient = self.autograd.grad(lambda x: fun(x, v, *rest))

        def run() -> list[Any]:
            product, value = self.autograd.make_vjp(gradient)(x)
            return [value, product(v)]

        return run

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        rest = args[count:]

        def run() -> list[Any]:
            def joined(xs: Any) -> Any:
                return self.xp.sum(fun(*xs, *rest), axis=0)

            pullback, value = self.autograd.make_vjp(joined)(tuple(args[:count]))
            return self.columns([pullback(unit) for unit in np.eye(len(value), dtype=value.dtype)])

        return run


class MyGrad(RowByRow):
    """MyGrad."""

    def __init__(self) -> None:
        import mygrad

        self.xp = mygrad

    def plain(self, result: Any) -> Any:
        return np.asarray(getattr(result, "data", result))

    def primal(self, fun: Program, args: Sequence[Any]) -> Run:
        args = [self.xp.tensor(arg, constant=True) for arg in args]

        def run() -> Any:
            with self.xp.no_autodiff:
                return fun(*args)

        return run

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        tensors = [self.xp.tensor(arg) for arg in args[:count]]

        def run() -> list[Any]:
            value = fun(*tensors, *args[count:])
            value.backward()
            return [value, *[tensor.grad for tensor in tensors]]

        return run

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        tensors = [self.xp.tensor(arg) for arg in args[:count]]

        def row(k: int) -> list[Any]:
            self.xp.sum(fun(*tensors, *args[count:])[:, k]).backward()
            return [tensor.grad for tensor in tensors]

        return lambda: self.columns([row(0), row(1)])


class Torch(RowByRow):
    """PyTorch, operation by operation."""

    family = "torch"

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(timing.threads())
        self.torch = torch
        self.xp = Namespace(
            torch,
            max=torch.amax,
            min=torch.amin,
            maximum=lambda x, floor: torch.clamp(x, min=floor),
        )

    def array(self, x: Any) -> Any:
        return self.torch.tensor(x)

    def plain(self, result: Any) -> Any:
        return result.detach().numpy()

    def primal(self, fun: Program, args: Sequence[Any]) -> Run:
        args = [self.array(arg) for arg in args]

        def run() -> Any:
            with self.torch.no_grad():
                return fun(*args)

        return run

    def leaves(self, args: Sequence[Any], count: int) -> tuple[list[Any], list[Any]]:
        """Return the differentiated tensors, and all."""
        tensors = [self.array(arg) for arg in args]
        return [tensor.requires_grad_() for tensor in tensors[:count]], tensors

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        leaves, tensors = self.leaves(args, count)

        def run() -> list[Any]:
            value = fun(*tensors)
            return [value, *self.torch.autograd.grad(value, leaves)]

        return run

    def newton(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        (x,), tensors = self.leaves(args, 1)
        derivative = self.torch.autograd.grad

        def run() -> list[Any]:
            (gradient,) = derivative(fun(*tensors), x, create_graph=True)
            return [gradient, *derivative(gradient, x, tensors[1])]

        return run

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        leaves, tensors = self.leaves(args, count)

        def run() -> list[Any]:
            sums = fun(*tensors).sum(0)
            rows = [self.torch.autograd.grad(s, leaves, retain_graph=True) for s in sums]
            return [self.torch.stack(parts, 1) for parts in zip(*rows, strict=True)]

        return run


class TorchFunc(Torch):
    """torch.func, PyTorch's transforms of functions."""

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        tensors = [self.array(arg) for arg in args]
        transformed = self.torch.func.grad_and_value(fun, tuple(range(count)))

        def run() -> list[Any]:
            gradients, value = transformed(*tensors)
            return [value, *gradients]

        return run

    def newton(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        x, v, *rest = [self.array(arg) for arg in args]
        gradient = self.torch.func.grad(lambda x: fun(x, v, *rest))
        return lambda: list(self.torch.func.jvp(gradient, (x,), (v,)))

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        tensors = [self.array(arg) for arg in args]
        mapped = self.torch.func.vmap(self.torch.func.jacrev(fun, tuple(range(count))))
        return lambda: list(mapped(*tensors))


class Jax(Library):
    """JAX, operation by operation."""

    family = "jax"

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax, self.xp = jax, jax.numpy

    def array(self, x: Any) -> Any:
        return self.xp.asarray(x)

    def ready(self, fun: Program, args: Sequence[Any]) -> Run:
        """Return the call of a function, which waits for its result."""
        arrays = [self.array(arg) for arg in args]
        return lambda: self.jax.block_until_ready(fun(*arrays))

    def primal(self, fun: Program, args: Sequence[Any]) -> Run:
        return self.ready(fun, args)

    def gradient(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        return self.ready(flat(self.jax.value_and_grad(fun, tuple(range(count)))), args)

    def newton(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        def both(x: Any, v: Any, *rest: Any) -> Any:
            return self.jax.jvp(self.jax.grad(lambda x: fun(x, v, *rest)), (x,), (v,))

        return self.ready(both, args)

    def jacobian(self, fun: Program, args: Sequence[Any], count: int) -> Run:
        return self.ready(self.jax.vmap(self.jax.jacrev(fun, tuple(range(count)))), args)


class JaxJit(Jax):
    """JAX, the whole program compiled for these shapes beforehand."""

    def ready(self, fun: Program, args: Sequence[Any]) -> Run:
        arrays = [self.array(arg) for arg in args]
        compiled = self.jax.jit(fun).lower(*arrays).compile()
        return lambda: self.jax.block_until_ready(compiled(*arrays))


LIBRARIES: dict[str, Callable[[], Library]] = {
    "by hand": Library,
    "funcgrad": Funcgrad,
    "autograd": Autograd,
    "mygrad": MyGrad,
    "torch": Torch,
    "torch.func": TorchFunc,
    "jax jit": JaxJit,
    "jax eager": Jax,
}
