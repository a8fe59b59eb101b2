"""Lowering rules mean what the primitives' `impl` means: the case table, interpreted by `loop_interpreter`."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import loop_interpreter
import loop_machine
import mpmath
import numpy as np
import pytest
from cases.base import Case
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_interpreter import OPERATIONS, lowered
from test_primitives import assert_close, draw, each_case_and_dtype

from nrx.backends.numpy import NumpyBackend
from nrx.core import dtypes, loops
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive, registry
from nrx.ops import arithmetic, logic, structural, threefry

MOST_ELEMENTS = 400

RUNS = [pytest.param(loop_interpreter.run, id="interpreted"), pytest.param(loop_machine.run, id="native")]

#: Primitives of which every bit must be right; of complex numbers not of ROUNDED, roots of sums of squares.
EXACT = {
    prim.name
    for family in (logic, arithmetic, structural, threefry)
    for prim in vars(family).values()
    if isinstance(prim, Primitive) and prim.elementwise
} | {"sqrt", "rsqrt"}
ROUNDED = {"abs", "sign", "sqrt", "rsqrt"}


def is_exact(prim: Primitive, raws: Sequence[np.ndarray]) -> bool:
    return prim.name in EXACT and not (prim.name in ROUNDED and raws[0].dtype.kind == "c")


def assert_same_bits(got: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Equal bits, but for those of a NaN."""
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if got.dtype.kind == "c":
        got, expected = (np.stack([x.real, x.imag]) for x in (got, expected))
    bits = [np.ascontiguousarray(x).reshape(-1).view(f"u{x.dtype.itemsize}") for x in (got, expected)]
    same = bits[0] == bits[1]
    if dtypes.is_inexact(got.dtype):
        with np.errstate(invalid="ignore"):
            same |= (np.isnan(got) & np.isnan(expected)).reshape(-1)
    at = np.flatnonzero(~same)
    assert not at.size, f"{what}: {got.reshape(-1)[at[:3]]}, expected {expected.reshape(-1)[at[:3]]}"


def check(prim: Primitive, raws: Sequence[np.ndarray], params: dict, ulp: float, run: Callable) -> bool:
    """Compare the lowering rule of `prim` with its impl; False if it has none for these operands."""
    if not prim.has("lower") or prim.higher_order:
        return False
    outs = lowered(prim, [Aval(x.shape, x.dtype) for x in raws], raws, params, run)
    if outs is None:
        return False
    with np.errstate(all="ignore"):
        answers = prim.impl(np, *raws, **params)
    for out, answer in zip(outs, answers if prim.multiple_results else [answers], strict=True):
        if is_exact(prim, raws):
            assert_same_bits(out, np.asarray(answer), f"{prim} {raws}")
        else:
            assert_close(out, np.asarray(answer), ulp, prim.elementwise, f"{prim} of {[x.dtype for x in raws]}")
    return True


@pytest.mark.parametrize("run", RUNS)
@each_case_and_dtype(lambda case: registry[case.primitive].has("lower"))
def test_rules(case: Case, dtype: str, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every primitive that a case runs gives by its rule what it gives by its impl."""
    checked = []

    def call(self: NumpyBackend, prim: Primitive, raws: Sequence[np.ndarray], params: dict, device: Any) -> Any:
        out = call_impl(self, prim, raws, params, device)
        if sum(np.size(x) for x in (*raws, *(out if isinstance(out, list) else [out]))) <= MOST_ELEMENTS:
            checked.append(check(prim, raws, params, 2 * max(case.ulp, 8), run))  # both are rounded
        return out

    call_impl = NumpyBackend.call
    monkeypatch.setattr(NumpyBackend, "call", call)
    case.function(*map(asarray, draw(case, dtype)))


# --- Any bits at all --------------------------------------------------------------------------------------------------

INTS, FLOATS = dtypes.INTEGERS, dtypes.FLOATS
#: Primitives whose every bit counts: operands and their dtypes.
ON_ANY_BITS: dict[str, tuple[int, tuple[np.dtype, ...]]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "max", "min"), (2, (*INTS, *FLOATS, *dtypes.COMPLEX))),
    **dict.fromkeys(("eq", "ne"), (2, dtypes.ALL)),
    **dict.fromkeys(("lt", "le", "gt", "ge"), (2, (dtypes.bool_, *INTS, *FLOATS, *dtypes.FP8))),
    **dict.fromkeys(("shift_left", "shift_right_logical", "shift_right_arithmetic", "and", "or", "xor"), (2, INTS)),
    **dict.fromkeys(("not", "population_count", "clz"), (1, INTS)),
    **dict.fromkeys(("floor", "ceil", "is_finite", "sqrt", "rsqrt"), (1, (*FLOATS, *dtypes.FP8))),
    **dict.fromkeys(("neg", "sign"), (1, (*INTS, *FLOATS))),
    "abs": (1, (*dtypes.SIGNED, *FLOATS)),
    "rem": (2, (*INTS, *FLOATS)),
    "nextafter": (2, FLOATS),
    "clamp": (3, (*INTS, *FLOATS)),
}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, np.inf, -np.inf, np.nan)


def elements(dtype: np.dtype) -> st.SearchStrategy:
    """Any bit pattern; small and special numbers more often than by chance. As an array of one element."""
    part = dtypes.real_part_dtype(dtype)
    patterns = st.integers(0, 2 ** (8 * part.itemsize) - 1).map(
        lambda bits: np.array([bits], f"u{part.itemsize}").view(part)
    )
    if dtype == np.bool_:
        return st.booleans().map(lambda x: np.array([x]))
    if dtypes.is_integer(dtype):
        return patterns | st.integers(-9, 9).map(lambda n: np.array([n]).astype(dtype))
    floats = patterns | st.sampled_from(SPECIAL).map(lambda x: np.array([x]).astype(part))
    if not dtypes.is_complex(dtype):
        return floats
    return st.tuples(floats, floats).map(lambda parts: np.stack(parts, -1).view(dtype)[:, 0])


@pytest.mark.parametrize("name", ON_ANY_BITS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_bits(name: str, data: st.DataObject) -> None:
    """Rules and impls agree on whatever the bits of the operands are."""
    count, accepted = ON_ANY_BITS[name]
    dtype = data.draw(st.sampled_from(accepted))
    with np.errstate(all="ignore"):
        operands = [data.draw(elements(dtype)) for _ in range(count)]
    assert check(registry[name], operands, {}, 0, loop_interpreter.run)


def any_bits(rng: np.random.Generator, dtype: np.dtype, count: int) -> np.ndarray:
    """Random bit patterns, among them small and special numbers."""
    part = dtypes.real_part_dtype(dtype)
    if dtypes.is_complex(dtype):
        return np.stack([any_bits(rng, part, count) for _ in range(2)], -1).view(dtype)[:, 0]
    bits = np.frombuffer(rng.bytes(count * part.itemsize), f"u{part.itemsize}")
    patterns = bits > bits.max() // 2 if dtype == np.bool_ else bits.view(part)
    with np.errstate(all="ignore"):
        special = np.array(SPECIAL if dtypes.is_floating(part) else range(-5, 5)).astype(part)
    return np.where(rng.random(count) < 0.3, rng.choice(special, count), patterns).astype(part)


@pytest.mark.parametrize("level", loop_machine.LEVELS)
@pytest.mark.parametrize("name", ON_ANY_BITS)
def test_any_bits_natively(name: str, level: str) -> None:
    """The same in vectors, of many operands at once."""
    count, accepted = ON_ANY_BITS[name]
    rng = np.random.default_rng(0)
    for dtype in accepted:
        operands = [any_bits(rng, dtype, 1003) for _ in range(count)]
        assert check(registry[name], operands, {}, 0, partial(loop_machine.run, level=level))


@pytest.mark.parametrize("source", dtypes.ALL, ids=str)
def test_conversion_of_any_bits_natively(source: np.dtype) -> None:
    x = any_bits(np.random.default_rng(0), source, 1003)
    for target in dtypes.ALL:
        params = {"dtype": target, "weak_type": False}
        assert check(registry["convert_element_type"], [x], params, 0, loop_machine.run)


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_conversion_of_any_bits(data: st.DataObject) -> None:
    source, target = (data.draw(st.sampled_from(dtypes.ALL)) for _ in range(2))
    with np.errstate(all="ignore"):
        x = data.draw(elements(source))
    check(registry["convert_element_type"], [x], {"dtype": target, "weak_type": False}, 0, loop_interpreter.run)


@settings(max_examples=200, deadline=None)
@given(st.integers(-9, 9).filter(bool), st.data())
def test_power_of_any_bits(exponent: int, data: st.DataObject) -> None:
    accepted = (*FLOATS, *dtypes.COMPLEX) if exponent < 0 else (*INTS, *FLOATS, *dtypes.COMPLEX)
    with np.errstate(all="ignore"):
        x = data.draw(elements(data.draw(st.sampled_from(accepted))))
    check(registry["integer_pow"], [x.reshape(1)], {"y": exponent}, 0, loop_interpreter.run)


@settings(max_examples=200, deadline=None)
@given(elements(dtypes.complex64) | elements(dtypes.complex128))
def test_modulus(z: np.ndarray) -> None:
    """Within 2 units in the last place of the exact one; inf if a part is infinite."""
    (got,) = lowered(registry["abs"], [Aval(z.shape, z.dtype)], [z], {})
    parts = [float(z.real[0]), float(z.imag[0])]
    if not all(map(math.isfinite, parts)):
        assert_same_bits(got, np.array([np.inf if math.inf in map(abs, parts) else np.nan], got.dtype), str(z))
        return
    with mpmath.workprec(2200):
        exact = mpmath.sqrt(mpmath.mpf(parts[0]) ** 2 + mpmath.mpf(parts[1]) ** 2)
        limits = np.finfo(got.dtype)
        spacing = max(mpmath.mpf(float(np.spacing(limits.smallest_subnormal))), 2 * exact * float(limits.eps))
        if exact < float(limits.max):
            assert abs(float(got[0]) - exact) <= spacing


def test_interpreter_knows_every_operation() -> None:
    assert set(OPERATIONS) == loops.ARITHMETIC | loops.COMPARISONS | loops.MATH
