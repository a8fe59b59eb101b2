"""Logistic regression by Newton's method, with Hessians from `nrx.hessian`.

Is a handwritten digit odd or even? A linear model of its 64 pixels is fitted in three ways: by gradient descent, by
Newton's method with the whole Hessian, and by Newton's method that only multiplies by it, in conjugate gradients.

    python examples/regression.py
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

import nrx
import nrx.numpy as jnp
from nrx import nn

PENALTY = 1e-3
CONVERGED = 1e-8


def make_loss() -> Callable[[nrx.Array], nrx.Array]:
    """The penalized mean loss as a function of 65 weights, strictly convex, in double precision."""
    images, labels = nrx.data.load_digits()
    pixels = nn.flatten(images).astype("float64")
    inputs = jnp.concatenate([pixels, jnp.ones((len(pixels), 1), "float64")], axis=1)
    odd = labels % 2

    def loss(weights: nrx.Array) -> nrx.Array:
        return nn.sigmoid_binary_cross_entropy(inputs @ weights, odd).mean() + PENALTY / 2 * weights @ weights

    return loss


def gradient_descent(loss: Callable, start: nrx.Array, steps: int, rate: float = 0.5) -> list[nrx.Array]:
    gradient = nrx.jit(nrx.grad(loss))
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * gradient(path[-1]))
    return path


def newton(loss: Callable, start: nrx.Array, steps: int, direction: Callable) -> list[nrx.Array]:
    """Go in Newton's direction, half as far as often as the loss asks for it, until the gradient vanishes."""
    loss, gradient = nrx.jit(loss), nrx.jit(nrx.grad(loss))
    path = [start]
    while len(path) <= steps and jnp.linalg.norm(slope := gradient(path[-1])) > CONVERGED:
        step = direction(path[-1])
        while loss(path[-1] - step) > loss(path[-1]) - 1e-4 * slope @ step:
            step = step / 2
        path.append(path[-1] - step)
    return path


def direct(loss: Callable) -> Callable[[nrx.Array], nrx.Array]:
    """Newton's direction H^-1 g: NumPy solves for it, which takes nrx's arrays as its own."""
    gradient, hessian = nrx.jit(nrx.grad(loss)), nrx.jit(nrx.hessian(loss))
    return lambda weights: jnp.asarray(np.linalg.solve(hessian(weights), gradient(weights)))


def matrix_free(loss: Callable) -> Callable[[nrx.Array], nrx.Array]:
    """The same without the Hessian: its product with a vector is a derivative of the gradient along that vector."""

    @nrx.jit
    def direction(weights: nrx.Array) -> nrx.Array:
        gradient, multiply = nrx.linearize(nrx.grad(loss), weights)
        return conjugate_gradients(multiply, gradient)

    return direction


def conjugate_gradients(multiply: Callable, b: nrx.Array, tolerance: float = 1e-12, most: int = 500) -> nrx.Array:
    """Solve A x = b for a positive definite A, known by its products. (Hestenes and Stiefel, 1952.)"""

    def unsolved(state: tuple) -> nrx.Array:
        _, residual, _, count = state
        return (residual @ residual > tolerance**2 * (b @ b)) & (count < most)

    def step(state: tuple) -> tuple:
        x, residual, direction, count = state
        image = multiply(direction)
        length = (residual @ residual) / (direction @ image)
        shorter = residual - length * image
        conjugate = shorter + (shorter @ shorter) / (residual @ residual) * direction
        return x + length * direction, shorter, conjugate, count + 1

    return nrx.lax.while_loop(unsolved, step, (jnp.zeros_like(b), b, b, 0))[0]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of gradient descent")
    options = parser.parse_args(argv)

    loss = make_loss()
    gradient = nrx.jit(nrx.grad(loss))
    start = jnp.zeros(65, "float64")
    methods = {
        "gradient descent": lambda: gradient_descent(loss, start, options.steps),
        "Newton": lambda: newton(loss, start, 50, direct(loss)),
        "Newton-CG": lambda: newton(loss, start, 50, matrix_free(loss)),
    }
    ends = {}
    print(f"{'method':<16} {'step':>5} {'loss':>12} {'|gradient|':>12} {'seconds':>8}")
    for name, method in methods.items():
        began = time.perf_counter()
        path = method()
        seconds = time.perf_counter() - began
        shown = range(len(path)) if len(path) <= 20 else np.linspace(0, len(path) - 1, 5).astype(int)
        for i in shown:
            slope = float(jnp.linalg.norm(gradient(path[i])))
            last = f" {seconds:8.2f}" if i == len(path) - 1 else ""
            print(f"{name:<16} {i:5} {float(loss(path[i])):12.9f} {slope:12.2e}{last}")
        ends[name] = slope
    return int(max(ends["Newton"], ends["Newton-CG"]) > CONVERGED)


if __name__ == "__main__":
    sys.exit(main())
