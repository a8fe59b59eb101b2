"""Ordinary differential equations, under the name of `jax.experimental.ode`.

>>> from nrx.experimental.ode import odeint
>>> odeint(lambda y, t: -y, jnp.array(1.0), jnp.array([0.0, 1.0, 2.0])).round(4)
Array([1.    , 0.3679, 0.1353], dtype=float32)
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.control.bodies import check_same_tree, trace_body
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.program import evaluate
from nrx.core.pytree import tree_leaves, tree_map, tree_unflatten
from nrx.flatten_util import ravel_pytree
from nrx.numpy.promotion import as_inexact
from nrx.transforms import custom_vjp, vjp, vmap
from nrx.transforms.flatten import check_function, flatten_arrays, leaf_paths

__all__ = ["odeint"]

# The pair of Dormand and Prince (1980): where a stage is in the step, its weights of the slopes before, and those of
# the difference of the two solutions. The last stage stands at the solution of fifth order.
_PLACES = np.array([1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1])
_STAGES = np.array([
    [1 / 5, 0, 0, 0, 0, 0, 0],
    [3 / 40, 9 / 40, 0, 0, 0, 0, 0],
    [44 / 45, -56 / 15, 32 / 9, 0, 0, 0, 0],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0, 0],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0, 0],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
])  # fmt: skip
_ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
# Shampine's (1986) continuous extension: the weight of each slope is a polynomial in the part of the step, here its
# coefficients from the first power on.
_INSIDE = np.array([
    [1, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432],
    [0, 0, 0, 0],
    [0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799],
    [0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072],
    [0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632],
    [0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844],
    [0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423],
])  # fmt: skip


def odeint(
    func: Callable, y0: Any, t: Any, *args: Any, rtol: float = 1.4e-8, atol: float = 1.4e-8, mxstep: float = np.inf,
    hmax: float = np.inf,
) -> Any:  # fmt: skip
    """The solution of y' = func(y, t, *args) that begins with y0, by steps of Dormand and Prince's method.

    Args:
        func: a function to pytrees like y0.
        y0: the value at t[0], a pytree of arrays.
        t: times, a vector, increasing or decreasing throughout.
        *args: further arguments of func, pytrees of arrays.
        rtol, atol: what the error of a step may be, `atol + rtol * |y|`; numbers.
        mxstep: how many steps there may be from one time to the next.
        hmax: how long a step may be.

    Returns:
        A pytree like y0, whose arrays have one more axis in front: the values at all times; NaN from the time on that
        was not reached within mxstep steps. Reverse-mode derivatives exist in y0, t, args and what func closes over,
        of any order: they are solutions of the adjoint equation, which runs back in time with the same tolerances.
        (There are none in forward mode.)

    Raises:
        TreeError, ShapeError, DTypeError: func returns something else than a value like y0, or t is not a real vector.

    >>> oscillator = lambda y, t, k: jnp.stack([y[1], -k * y[0]])
    >>> ys = nrx.experimental.ode.odeint(oscillator, jnp.array([1.0, 0.0]), jnp.linspace(0, jnp.pi, 3), 1.0)
    >>> bool(abs(ys[:, 0] - jnp.array([1.0, 0.0, -1.0])).max() < 1e-5)
    True
    """
    check_function("odeint", func)
    leaves, tree = flatten_arrays(y0, "odeint: y0")
    leaves = [as_inexact("odeint", x) for x in leaves]
    start, unravel = ravel_pytree(tree_unflatten(tree, leaves))
    times = _times(t, start.dtype)
    given, _ = flatten_arrays(args, "odeint: args")
    instant = times[0]
    avals = [Aval(x.shape, x.dtype) for x in (*leaves, instant)] + [x.aval for x in given]
    body = trace_body(func, (y0, instant, *args), avals, "odeint")
    check_same_tree(tree, body.out_tree, "odeint: func returns another structure than y0 has")
    _check_types(leaf_paths(tree), avals, body.program.out_avals)
    count = len(body.consts)

    def slope(y: Array, t: Array, params: Sequence[Array]) -> Array:
        consts, rest = params[:count], params[count:]
        outs = evaluate(body.program, [*consts, *tree_leaves(unravel(y)), t, *rest])
        return ravel_pytree(outs)[0].astype(y.dtype) if outs else y

    settings = _Settings(rtol, atol, mxstep, hmax)
    return vmap(unravel)(_solution(slope, settings, start, times, [*body.consts, *given]))


def _times(t: Any, dtype: np.dtype) -> Array:
    """The times in a dtype that is as fine as that of the values."""
    times = as_inexact("odeint", asarray(t, "odeint: t"))
    if times.ndim != 1 or not times.size or dtypes.is_complex(times.dtype):
        raise ShapeError(f"odeint: t must be a vector of at least 1 real number, got {times.aval}")
    return times.astype(jnp.promote_types(times.dtype, jnp.finfo(dtype).dtype))


def _check_types(paths: Sequence[str], wanted: Sequence[Aval], returned: Sequence[Aval]) -> None:
    for path, expected, aval in zip(paths, wanted, returned, strict=False):
        if expected.shape != aval.shape:
            raise ShapeError(f"odeint: func returns {aval} at {path or 'its result'}, but y0{path} is {expected}",
                             fix="return the slope of each element")  # fmt: skip
        if dtypes.is_complex(aval.dtype) and not dtypes.is_complex(expected.dtype):
            raise DTypeError(f"odeint: func returns {aval} at {path or 'its result'}, but y0{path} is {expected}",
                             fix="begin with a complex y0")  # fmt: skip


class _Settings(NamedTuple):
    """The arguments of `odeint` of these names."""

    rtol: float
    atol: float
    mxstep: float
    hmax: float


class _Step(NamedTuple):
    """A step that has been done: where it began, how long it was, and the slopes at its stages."""

    t: Array
    y: Array
    h: Array
    slopes: Array

    def at(self, t: Array) -> Array:
        """The value at a time inside."""
        part = (t - self.t) / self.h
        weights = jnp.asarray(_INSIDE, part.dtype) @ part ** jnp.arange(1, 5)
        return self.y + self.h.astype(self.y.dtype) * (weights.astype(self.y.dtype) @ self.slopes)


class _State(NamedTuple):
    """Where the solution has got to: time, value, slope, how far to step next, and the last step."""

    t: Array
    y: Array
    slope: Array
    h: Array
    last: _Step


@functools.partial(custom_vjp, nondiff_argnums=(0, 1))
def _solution(slope: Callable, settings: _Settings, y0: Array, times: Array, params: list) -> Array:
    """The vectors at all times, of the equation y' = slope(y, t, params)."""
    if not y0.size:
        return jnp.zeros((times.size, 0), y0.dtype)

    def f(y: Array, t: Array) -> Array:
        return slope(y, t, params)

    end = times[-1]
    forward = jnp.where(end >= times[0], 1, -1).astype(times.dtype)
    first = f(y0, times[0])
    h = forward * _first_step(f, y0, times[0], end - times[0], first, settings)
    none = jnp.zeros((7, y0.size), y0.dtype)
    start = _State(times[0], y0, first, h, _Step(times[0], y0, jnp.ones_like(h), none))

    def step_to(state: _State, target: Array) -> tuple[_State, Array]:
        def going(numbered: tuple[Array, _State]) -> Array:
            count, at = numbered
            return (forward * (target - at.t) > 0) & (count < settings.mxstep) & (jnp.abs(at.t + at.h - at.t) > 0)

        start = jnp.asarray(0), state
        _, state = lax.while_loop(going, lambda numbered: (numbered[0] + 1, _try(f, numbered[1], end, settings)), start)
        reached = forward * (target - state.t) <= 0
        return state, jnp.where(reached, state.last.at(target), jnp.nan)

    return jnp.concatenate([y0[None], lax.scan(step_to, start, times[1:])[1]])


def _try(f: Callable, state: _State, end: Array, settings: _Settings) -> _State:
    """The state after one step, or with a shorter step to try."""
    left = end - state.t
    is_last = jnp.abs(state.h) >= jnp.abs(left)
    h = jnp.where(is_last, left, state.h)
    t, y = state.t, state.y
    factor = h.astype(y.dtype)

    def stage(slopes: Array, row: tuple) -> tuple[Array, Array]:
        number, place, weights = row
        at = y + factor * (weights @ slopes)
        return slopes.at[number].set(f(at, t + place * h)), at

    slopes = jnp.zeros((7, y.size), y.dtype).at[0].set(state.slope)
    rows = jnp.arange(1, 7), jnp.asarray(_PLACES, h.dtype), jnp.asarray(_STAGES, y.dtype)
    slopes, values = lax.scan(stage, slopes, rows)
    new = values[-1]
    error = factor * (jnp.asarray(_ERROR, y.dtype) @ slopes)
    ratio = _size(error, _tolerance(settings, jnp.maximum(jnp.abs(y), jnp.abs(new)))).astype(h.dtype)
    accepted = ratio <= 1
    # Negative powers of zero are infinite; a ratio that is NaN shortens the step.
    growth = jnp.where(jnp.isnan(ratio), 0.2, (0.9 * ratio**-0.2).clip(0.2, 10))
    longest = jnp.minimum(jnp.abs(h) * jnp.where(accepted, growth, jnp.minimum(growth, 1)), settings.hmax)
    after = _State(jnp.where(is_last, end, t + h), new, slopes[-1], h, _Step(t, y, h, slopes))
    chosen = tree_map(lambda a, b: jnp.where(accepted, a, b), after, state)
    return chosen._replace(h=jnp.copysign(longest, h))


def _first_step(f: Callable, y: Array, t: Array, span: Array, slope: Array, settings: _Settings) -> Array:
    """How long the first step may be (Hairer, Nørsett and Wanner, section II.4)."""
    tolerance = _tolerance(settings, jnp.abs(y))
    d0, d1 = _size(y, tolerance), _size(slope, tolerance)
    h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1).astype(t.dtype)
    h0 = jnp.minimum(h0, jnp.maximum(jnp.abs(span), jnp.finfo(t.dtype).tiny))
    ahead = jnp.copysign(h0, span)
    there = f(y + ahead.astype(y.dtype) * slope, t + ahead)
    steepest = jnp.maximum(d1, _size(there - slope, tolerance) / h0)
    h1 = jnp.where(steepest <= 1e-15, jnp.maximum(1e-6, h0 * 1e-3), (0.01 / steepest) ** 0.2)
    return jnp.minimum(jnp.minimum(100 * h0, h1), settings.hmax).astype(t.dtype)


def _tolerance(settings: _Settings, size: Array) -> Array:
    return jnp.maximum(settings.atol + settings.rtol * size, jnp.finfo(size.dtype).tiny)


def _size(x: Array, unit: Array) -> Array:
    """The root of the mean square, in these units."""
    return jnp.sqrt(jnp.mean((jnp.abs(x) / unit) ** 2))


def _solution_forward(
    slope: Callable, settings: _Settings, y0: Array, times: Array, params: list
) -> tuple[Array, tuple]:
    ys = _solution(slope, settings, y0, times, params)
    return ys, (ys, times, params)


def _solution_backward(slope: Callable, settings: _Settings, residuals: tuple, ct: Array) -> tuple:
    """The adjoint equation: from each time back to the one before, with the cotangents of y, t and the parameters."""
    ys, times, params = residuals
    moving = [dtypes.is_inexact(p.dtype) for p in params]

    def joined(values: Sequence[Array], params: Sequence[Array]) -> list[Array]:
        rest = iter(values)
        return [next(rest) if moves else p for p, moves in zip(params, moving, strict=True)]

    zeros = [jnp.zeros_like(p) for p, moves in zip(params, moving, strict=True) if moves]
    _, unravel = ravel_pytree((ys[0], ys[0], times[0], zeros))

    def adjoint_slope(state: Array, t: Array, params: Sequence[Array]) -> Array:
        y, ct, _, _ = unravel(state)
        values = [p for p, moves in zip(params, moving, strict=True) if moves]
        forward, pull = vjp(lambda y, t, values: slope(y, t, joined(values, params)), y, t, values)
        return ravel_pytree((forward, *pull(-ct)))[0].astype(state.dtype)

    def back(carry: tuple, interval: tuple) -> tuple[tuple, Array]:
        y_ct, t_ct, param_cts = carry
        y, last, before, ct, earlier = interval
        moved = jnp.sum(ct * slope(y, last, params)).real.astype(times.dtype)
        state = ravel_pytree((y, y_ct, t_ct - moved, param_cts))[0]
        state = _solution(adjoint_slope, settings, state, jnp.stack([last, before]), params)[1]
        _, y_ct, t_ct, param_cts = unravel(state)
        return (y_ct + earlier, t_ct, param_cts), moved

    intervals = ys[1:], times[1:], times[:-1], ct[1:], ct[:-1]
    start = ct[-1], jnp.zeros_like(times[0]), zeros
    (y_ct, t_ct, param_cts), moved = lax.scan(back, start, intervals, reverse=True)
    rest = iter(param_cts)
    return y_ct, jnp.concatenate([t_ct[None], moved]), [next(rest) if moves else None for moves in moving]


_solution.defvjp(_solution_forward, _solution_backward)
