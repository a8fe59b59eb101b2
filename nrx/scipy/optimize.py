"""Minimization, under the names of `scipy.optimize`, as in `jax.scipy.optimize`.

>>> from nrx.scipy.optimize import minimize
>>> minimize(lambda x: jnp.sum((x - 3) ** 2), jnp.zeros(2)).x
Array([3., 3.], dtype=float32)
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.pytree import tree_map
from nrx.core.shapes import show
from nrx.numpy.promotion import as_inexact
from nrx.transforms import value_and_grad
from nrx.transforms.flatten import check_function, describe

__all__ = ["OptimizeResults", "minimize"]

_ARMIJO, _CURVATURE = 1e-4, 0.9
_LBFGS = ("l-bfgs", "l-bfgs-experimental-do-not-rely-on-this")
_MOST_REFINEMENTS = 30


class OptimizeResults(NamedTuple):
    """What a minimization found; a pytree.

    Fields:
        x: the last point, of shape (n,).
        success: whether the gradient there is as small as was asked for, or, for L-BFGS, the function did not change.
        status: 0: success; 1: maxiter iterations were not enough; 2: maxfun evaluations were not enough; 3: a line
            search found an interval, but no point in it that satisfies the strong Wolfe conditions (rounding errors
            near a minimum do that); 5: it found no interval; -1: the function or its gradient is not finite.
        fun: the value at x.
        jac: the gradient at x.
        hess_inv: the estimate of the inverse Hessian (BFGS), or None. For complex x it is that of 2 n real variables,
            first the real and then the imaginary parts.
        nfev, njev, nit: how many evaluations of the function, of its gradient, and iterations it took.

    >>> import nrx
    >>> found = nrx.scipy.optimize.minimize(lambda x: ((x - 1) ** 2).sum(), nrx.numpy.zeros(2), method="BFGS")
    >>> bool(found.success), found.x.round(3)
    (True, Array([1., 1.], dtype=float32))
    """

    x: Array
    success: Array
    status: Array
    fun: Array
    jac: Array
    hess_inv: Array | None
    nfev: Array
    njev: Array
    nit: Array


def minimize(
    fun: Callable,
    x0: Any,
    args: tuple = (),
    *,
    method: str = "BFGS",
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """A local minimum of a function, by its gradient.

    Args:
        fun: `fun(x, *args)` gives a real scalar.
        x0: where to begin, an array of shape (n,), real or complex.
        args: further arguments of fun, a tuple of pytrees.
        method: "BFGS", or "L-BFGS", which keeps the last `maxcor` steps in place of an n x n matrix (JAX's name for it,
            "l-bfgs-experimental-do-not-rely-on-this", is known as well).
        tol: gtol, and for L-BFGS ftol, where the options do not name them.
        options: `maxiter` (200 n by default), `gtol` (1e-5): how small the largest component of the gradient must get,
            `norm` (inf): the order of the norm to measure it by. BFGS: `line_search_maxiter` (10): how often a step may
            be doubled. L-BFGS: `maxls` (20), the same; `maxcor` (10); `ftol` (2.2e-9): stop where a step lowers the
            function by less, relative to its value if that is above 1; `maxfun`, `maxgrad`: stop after so many
            evaluations.

    Returns:
        OptimizeResults. A whole minimization can be jitted and batched. It has derivatives in forward mode alone, those
        of its steps; for the derivatives of a minimum see `nrx.lax.custom_root`. In float32 gradients below 1e-5 may be
        out of reach: look at `status`, or give a larger `gtol`.

    Raises:
        ArgumentError: an unknown method or option.
        ArgumentTypeError: args is not a tuple, or options are not a mapping.
        ShapeError: x0 is not a vector or is empty, or fun does not give a scalar.

    >>> def rosenbrock(x):
    ...     return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> result = nrx.scipy.optimize.minimize(rosenbrock, jnp.zeros(3), method="BFGS", options={"gtol": 1e-3})
    >>> bool(result.success), result.x.round(2)
    (True, Array([1., 1., 1.], dtype=float32))
    """
    check_function("minimize", fun)
    if not isinstance(args, tuple):
        raise ArgumentTypeError(f"minimize: args must be a tuple, got {describe(args)}", fix="write args=(a,)")
    if not isinstance(options, Mapping | None):
        raise ArgumentTypeError(f"minimize: options must be a mapping, got {describe(options)}")
    start = as_inexact("minimize", asarray(x0, "minimize: x0"))
    if start.ndim != 1 or not start.size:
        raise ShapeError(f"minimize: x0 must be a vector of at least 1 element, got shape {show(start.shape)}",
                         fix="ravel it, and reshape inside the function")  # fmt: skip
    start = start.astype(start.dtype)  # a strong type, which the loops keep
    name = str(method).lower()
    if name != "bfgs" and name not in _LBFGS:
        raise ArgumentError(f"minimize: unknown method {method!r}", fix='use "BFGS" or "L-BFGS"')
    settings = _settings("BFGS" if name == "bfgs" else "L-BFGS", start.size, tol, dict(options or {}))
    minimizer = _bfgs if name == "bfgs" else _lbfgs
    if not dtypes.is_complex(start.dtype):
        return minimizer(_objective(lambda x: fun(x, *args), start), start, settings)

    def joined(v: Array) -> Array:
        return lax.complex(v[: start.size], v[start.size :])

    parts = jnp.concatenate([start.real, start.imag])
    found = minimizer(_objective(lambda v: fun(joined(v), *args), parts), parts, settings)
    return found._replace(x=joined(found.x), jac=joined(found.jac).conj())


_DEFAULTS: dict[str, dict[str, Any]] = {
    "BFGS": {"maxiter": None, "norm": np.inf, "gtol": 1e-5, "line_search_maxiter": 10},
    "L-BFGS": {
        "maxiter": None, "norm": np.inf, "maxcor": 10, "ftol": 2.220446049250313e-09, "gtol": 1e-5, "maxfun": None,
        "maxgrad": None, "maxls": 20,
    },
}  # fmt: skip


def _settings(method: str, size: int, tol: float | None, options: dict[str, Any]) -> dict[str, Any]:
    """All options of a method; limits that are not given are infinite."""
    known = _DEFAULTS[method]
    if unknown := sorted(set(options) - set(known)):
        raise ArgumentError(f"minimize: {method} has no option {unknown[0]!r}", fix=f"it has {', '.join(known)}")
    of_tol: dict[str, Any] = {} if tol is None else {name: tol for name in ("gtol", "ftol") if name in known}
    settings = {**known, **of_tol, **options}
    limits = [name for name in ("maxiter", "maxfun", "maxgrad") if name in known]
    if all(settings[name] is None for name in limits):
        settings["maxiter"] = 200 * size
    return {name: np.inf if name in limits and value is None else value for name, value in settings.items()}


def _objective(fun: Callable, x0: Array) -> Callable:
    """The value and the gradient of a function, in the dtype of `x0`."""

    def real_scalar(x: Array) -> Array:
        value = as_inexact("minimize", fun(x))
        if value.shape or dtypes.is_complex(value.dtype):
            raise ShapeError(f"minimize: the function must give a real scalar, it gives {value.aval}",
                             fix="sum it up, or take its norm")  # fmt: skip
        return value.astype(x0.dtype)

    return value_and_grad(real_scalar)


# Line search


class _Point(NamedTuple):
    """A point on the line: the step to it, the value, the slope and the gradient there."""

    step: Array
    value: Array
    slope: Array
    gradient: Array


class _Search(NamedTuple):
    """The state of a line search.

    Fields:
        low: the best point so far; it satisfies the first Wolfe condition.
        high: the step, value and slope at the other end of an interval that holds a solution; the step is infinite as
            long as there is none.
        tries: how many points have been evaluated.
        done: low satisfies both conditions.
    """

    low: _Point
    high: tuple[Array, Array, Array]
    tries: Array
    done: Array


def _line_search(
    objective: Callable, x: Array, direction: Array, value: Array, gradient: Array, first_step: Array, doublings: int
) -> _Search:
    """A step that satisfies the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6 in one loop).

    Steps are doubled until an interval is found, and the interval is narrowed down by cubic interpolation.
    """
    slope0 = gradient @ direction
    zero, infinite = jnp.zeros_like(value), jnp.full_like(value, np.inf)
    start = _Search(
        _Point(zero, value, slope0, gradient), (infinite, infinite, infinite), jnp.asarray(0), jnp.asarray(False)
    )

    def going(state: _Search) -> Array:
        most = jnp.where(jnp.isinf(state.high[0]), doublings, doublings + _MOST_REFINEMENTS)
        return ~state.done & (state.tries < most)

    def narrow(state: _Search) -> _Search:
        low, high = state.low, state.high
        grown = jnp.where(low.step > 0, 2 * low.step, first_step)
        step = jnp.where(jnp.isinf(high[0]), grown, _between(low, high))
        there, its_gradient = objective(x + step * direction)
        new = _Point(step, there, its_gradient @ direction, its_gradient)
        # Negated, so that NaN is too high as well.
        too_high = ~((there <= value + _ARMIJO * step * slope0) & ((there < low.value) | (low.step == 0)))
        turned = new.slope * jnp.sign(high[0] - low.step) >= 0
        end = _choose(too_high, new[:3], _choose(turned, low[:3], high))
        done = ~too_high & (jnp.abs(new.slope) <= -_CURVATURE * slope0)
        return _Search(_choose(too_high, low, new), end, state.tries + 1, done)

    return lax.while_loop(going, narrow, start)


def _between(low: _Point, high: tuple[Array, Array, Array]) -> Array:
    """Where the cubic polynomial with the values and slopes at the ends is least; the middle if that is not inside."""
    step, value, slope = high
    width = step - low.step
    d1 = low.slope + slope - 3 * (value - low.value) / width
    d2 = jnp.sign(width) * jnp.sqrt(d1 * d1 - low.slope * slope)
    place = 1 - (slope + d2 - d1) / (slope - low.slope + 2 * d2)
    return low.step + width * jnp.where((place > 0.1) & (place < 0.9), place, 0.5)


def _choose(condition: Array, a: Any, b: Any) -> Any:
    """One of two trees of arrays."""
    return tree_map(lambda x, y: jnp.where(condition, x, y), a, b)


# The two methods


class _State(NamedTuple):
    """The state of a minimization; `memory` is what the method knows of the Hessian, `drop` the last decrease."""

    x: Array
    value: Array
    gradient: Array
    memory: Any
    drop: Array
    evaluations: Array
    iterations: Array
    status: Array


_RUNNING = -2


def _descend(
    objective: Callable,
    x0: Array,
    memory: Any,
    direction: Callable,
    first_step: Callable,
    update: Callable,
    settings: dict[str, Any],
) -> _State:
    """Steps along `direction(memory, gradient)` until the gradient is small; `update(memory, s, y)` learns of them."""
    doublings = settings["maxls" if "maxls" in settings else "line_search_maxiter"]
    value, gradient = objective(x0)
    unable = jnp.where(jnp.isfinite(value), 1 if settings["maxiter"] <= 0 else _RUNNING, -1)
    status = jnp.where(_is_small(gradient, settings), 0, unable)
    one = jnp.asarray(1)
    start = _State(x0, value, gradient, memory, jnp.linalg.norm(gradient) / 2, one, one - 1, status)

    def step(state: _State) -> _State:
        towards = direction(state.memory, state.gradient)
        length = first_step(state, towards)
        search = _line_search(objective, state.x, towards, state.value, state.gradient, length, doublings)
        low = search.low
        s, y = low.step * towards, low.gradient - state.gradient
        new = _State(
            x=state.x + s, value=low.value, gradient=low.gradient, memory=update(state.memory, s, y),
            drop=state.value - low.value, evaluations=state.evaluations + search.tries,
            iterations=state.iterations + 1, status=state.status,
        )  # fmt: skip
        return new._replace(status=_status(new, search, settings))

    return lax.while_loop(lambda state: state.status == _RUNNING, step, start)


def _is_small(gradient: Array, settings: dict[str, Any]) -> Array:
    return jnp.linalg.norm(gradient, settings["norm"]) <= settings["gtol"]


def _status(state: _State, search: _Search, settings: dict[str, Any]) -> Array:
    """What to say after a step: the first that applies."""
    before = jnp.abs(state.value + state.drop)
    level = jnp.maximum(jnp.maximum(jnp.abs(state.value), before), 1)
    cases = [
        (_is_small(state.gradient, settings), 0),
        (~jnp.isfinite(state.gradient).all(), -1),
        (~search.done, jnp.where(jnp.isinf(search.high[0]), 5, 3)),
        (state.iterations >= settings["maxiter"], 1),
        (state.evaluations >= settings.get("maxfun", np.inf), 2),
        (state.evaluations >= settings.get("maxgrad", np.inf), 2),
        (state.drop <= settings.get("ftol", -np.inf) * level, 0),
    ]
    return jnp.select([case for case, _ in cases], [jnp.asarray(status) for _, status in cases], _RUNNING)


def _bfgs(objective: Callable, x0: Array, settings: dict[str, Any]) -> OptimizeResults:
    """Nocedal and Wright, algorithm 6.1: the memory is the inverse Hessian."""
    eye = jnp.eye(x0.size, dtype=x0.dtype)

    def first_step(state: _State, direction: Array) -> Array:
        # As long as the last decrease lets expect, as in SciPy.
        expected = -2.02 * state.drop / (state.gradient @ direction)
        return jnp.where((expected > 0) & (expected < 1), expected, 1)

    def update(inverse: Array, s: Array, y: Array) -> Array:
        rho = 1 / (y @ s)
        w = eye - rho * jnp.outer(s, y)
        return jnp.where(jnp.isfinite(rho), w @ inverse @ w.T + rho * jnp.outer(s, s), inverse)

    return _results(
        _descend(objective, x0, eye, lambda inverse, gradient: -(inverse @ gradient), first_step, update, settings),
        hess_inv=True,
    )


class _Steps(NamedTuple):
    """The last steps, the oldest first: differences of points and of gradients, and 1 / (y @ s), 0 for none yet."""

    s: Array
    y: Array
    rho: Array
    scale: Array


def _lbfgs(objective: Callable, x0: Array, settings: dict[str, Any]) -> OptimizeResults:
    """Nocedal and Wright, algorithm 7.5: the memory is the last steps."""
    count, dtype = settings["maxcor"], x0.dtype
    none = jnp.zeros((count, x0.size), dtype)
    memory = _Steps(none, none, jnp.zeros(count, dtype), jnp.ones((), dtype))

    def direction(memory: _Steps, gradient: Array) -> Array:
        def backwards(q: Array, step: tuple) -> tuple[Array, Array]:
            s, y, rho = step
            alpha = rho * (s @ q)
            return q - alpha * y, alpha

        def forwards(q: Array, step: tuple) -> tuple[Array, None]:
            (s, y, rho), alpha = step
            return q + (alpha - rho * (y @ q)) * s, None

        q, alphas = lax.scan(backwards, -gradient, memory[:3], reverse=True)
        return lax.scan(forwards, memory.scale * q, (memory[:3], alphas))[0]

    def first_step(state: _State, direction: Array) -> Array:
        return jnp.where(state.iterations > 0, 1, jnp.minimum(1, 1 / jnp.linalg.norm(direction)))

    def update(memory: _Steps, s: Array, y: Array) -> _Steps:
        curvature = y @ s
        rows = ((memory.s, s), (memory.y, y), (memory.rho, 1 / curvature))
        pushed = [jnp.concatenate([old[1:], new[None]]) for old, new in rows]
        return _choose(curvature > 0, _Steps(pushed[0], pushed[1], pushed[2], curvature / (y @ y)), memory)

    return _results(_descend(objective, x0, memory, direction, first_step, update, settings), hess_inv=False)


def _results(state: _State, hess_inv: bool) -> OptimizeResults:
    return OptimizeResults(
        x=state.x, success=state.status == 0, status=state.status, fun=state.value, jac=state.gradient,
        hess_inv=state.memory if hess_inv else None, nfev=state.evaluations, njev=state.evaluations,
        nit=state.iterations,
    )  # fmt: skip
