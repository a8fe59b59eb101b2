"""Every primitive, in every way: the case table of `tests/cases` goes through every transformation.

A case `sin` of `tests/cases/elementary.py` has the id `elementary-sin`; `-k elementary` runs the family. Each family's
file holds `CASES`, a list of `Case`.
"""

import importlib
import os
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import cases
import numpy as np
import pytest
from cases.base import Arg, Case
from known_differences import NOT_HALF_IN_JAX
from oracles import assert_as_eager, assert_same

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.config import config
from nrx.core.primitive import RULES, registry
from nrx.core.pytree import tree_flatten
from nrx.testing import check_grads
from nrx.transforms import jit, linear_transpose, vjp, vmap

# JAX compiles every case it is asked about; unoptimized, in half the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

BATCH = 3

#: Primitives that a case cannot call, and where they are tested: those that hold Programs or need a named axis.
TESTED_ELSEWHERE = {
    **dict.fromkeys(("custom_jvp", "custom_vjp", "custom_pullback"), "test_custom_rules.py"),
    **dict.fromkeys(("cond", "scan", "while", "checkpoint"), "test_compositions.py"),
    **dict.fromkeys(("psum", "pmax", "pmin", "all_gather", "axis_index"), "test_vmap.py"),
    **dict.fromkeys(("ppermute", "all_to_all"), "test_collectives.py"),
    "jit": "test_jit.py",
    "linear_solve": "test_solvers.py",
    **dict.fromkeys(("pure_callback", "io_callback", "debug_callback"), "test_callbacks.py"),
    "check": "test_checkify.py",
    "fft_step": "test_fft.py",
    "split_products": "test_products.py",
    "tiles": "test_winograd.py",
    **dict.fromkeys(("digit_counts", "place_by_digit", "take_in_row"), "test_sorting.py"),
    "custom_vmap": "test_custom_batching.py",
    "name": "test_checkpoint_policies.py",
    "random_gamma_grad_a": "test_incomplete.py",
}


#: Modules that could not be imported: their own test fails, the other families run.
BROKEN: dict[str, Exception] = {}


def submodules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{info.name}"
        try:
            yield importlib.import_module(name)
        except Exception as error:
            BROKEN[name] = error


for _package in ("nrx.ops", "nrx.transforms", "nrx.control"):
    list(submodules(importlib.import_module(_package)))

FAMILIES: dict[str, list[Case]] = {
    module.__name__.rpartition(".")[2]: module.CASES for module in submodules(cases) if hasattr(module, "CASES")
}
ALL = [(f"{family}-{case.name}", case) for family, table in FAMILIES.items() for case in table]


def each_case(wanted: Callable[[Case], Any] = lambda case: True) -> Any:
    """Parametrize a test over the cases that `wanted` picks."""
    chosen = [pytest.param(case, id=name, marks=case.marks) for name, case in ALL if wanted(case)]
    return pytest.mark.parametrize("case", chosen)


def each_case_and_dtype(wanted: Callable[[Case], Any] = lambda case: True, slow: bool = True) -> Any:
    """Parametrize a test over cases and their dtypes; with `slow`, those after a case's first are marked so."""
    chosen = [
        pytest.param(case, dtype, id=f"{name}-{dtype}", marks=[*case.marks, *[pytest.mark.slow] * (slow and i > 0)])
        for name, case in ALL
        if wanted(case)
        for i, dtype in enumerate(case.dtypes)
    ]
    return pytest.mark.parametrize(("case", "dtype"), chosen)


# --- Values -----------------------------------------------------------------------------------------------------------


def generator(case: Case) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(case.name.encode()))


def draw(case: Case, dtype: Any) -> list[np.ndarray]:
    """Arguments for a case; those of no fixed dtype get `dtype`."""
    rng = generator(case)
    return [a.make(rng, dtypes.canonical_dtype(dtype)) for a in case.args]


def results(tree: Any) -> list[Array]:
    return tree_flatten(tree)[0]


def wide(x: np.ndarray) -> np.ndarray:
    """Floating data in float64, complex data in complex128, anything else as it is."""
    if not dtypes.is_inexact(x.dtype):
        return x
    return x.astype(np.complex128 if dtypes.is_complex(x.dtype) else np.float64)


def assert_close(got: Any, expected: Any, ulp: float, elementwise: bool, what: str = "") -> None:
    """Equal NaN, inf and integers; floats within `ulp` units of eps of each element, or of the largest one.

    With `elementwise` and 0 ulp, zeros have the same sign.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    if not dtypes.is_inexact(got.dtype):
        kinds = (got.dtype.kind.replace("u", "i"), expected.dtype.kind.replace("u", "i"))
        assert kinds[0] == kinds[1], f"{what}: dtype {got.dtype}, expected {expected.dtype}"
        np.testing.assert_array_equal(got, expected, err_msg=what)
        return
    limits = dtypes.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = wide(np.asarray(expected).astype(got.dtype))
        got, expected = wide(got), wide(expected)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        if elementwise and ulp == 0 and got.dtype.kind == "f":
            same &= np.isnan(got) | (np.signbit(got) == np.signbit(rounded))
        size = np.where(np.isfinite(expected), np.abs(expected), 0)
        if not elementwise:
            size = np.max(size, initial=0)
        allowed = ulp * float(limits.eps) * np.maximum(size, float(limits.tiny))
        close = same | (np.abs(got - expected) <= allowed)
    if not np.all(close):
        at = np.argwhere(~close)[0]
        raise AssertionError(
            f"{what}: at {tuple(at)}: {got[tuple(at)]!r}, expected {expected[tuple(at)]!r}, "
            f"{np.sum(~close)} of {close.size} elements differ by more than {ulp} eps"
        )


def is_elementwise(case: Case) -> bool:
    return registry[case.primitive].elementwise


def bound(case: Case, dtype: Any) -> float:
    """The ulp allowed; an elementwise result of a narrow dtype has been rounded just once."""
    return min(case.ulp, 1) if is_elementwise(case) and dtypes.is_narrow(dtypes.canonical_dtype(dtype)) else case.ulp


# --- Forward ----------------------------------------------------------------------------------------------------------


@each_case_and_dtype(slow=False)
def test_oracle(case: Case, dtype: str) -> None:
    """The eager result: what the oracle says, of the shape and dtype that `abstract` promises."""
    numpy_args = draw(case, dtype)
    kept = [x.tobytes() for x in numpy_args]
    arrays = [asarray(x) for x in numpy_args]
    with config.using(debug_checks=True):
        outs = results(case.function(*arrays))
    assert [np.asarray(x).tobytes() for x in arrays] == kept, "the arguments were changed"
    if case.oracle is None:
        return
    with np.errstate(all="ignore"):
        expected = case.oracle(*map(wide, numpy_args))
    expected = list(expected) if isinstance(expected, tuple | list) else [expected]
    assert len(outs) == len(expected)
    for got, answer in zip(outs, expected, strict=True):
        assert_close(got, answer, bound(case, dtype), is_elementwise(case), dtype)


# --- jit --------------------------------------------------------------------------------------------------------------


@each_case_and_dtype()
def test_jit(case: Case, dtype: str) -> None:
    """jit gives the shapes, dtypes and weak types of eager evaluation, and its bits where rounding leaves no choice."""
    args = [asarray(x) for x in draw(case, dtype)]
    compiled = jit(case.function)
    program = compiled.trace(*args)
    for got, expected in zip(results(compiled(*args)), results(case.function(*args)), strict=True):
        assert got.aval == expected.aval
        assert_as_eager(program, np.asarray(got), np.asarray(expected))


# --- vmap -------------------------------------------------------------------------------------------------------------


def placements(args: Sequence[Arg]) -> Iterator[tuple[int | None, ...]]:
    """The in_axes to try: each operand alone at each axis, then all together at 0, at -1 and at mixed axes."""
    batchable = [i for i, a in enumerate(args) if a.batchable]
    for i in batchable:
        for axis in (*range(len(args[i].shape) + 1), -1):
            yield tuple(axis if i == k else None for k in range(len(args)))
    if len(batchable) > 1:
        yield tuple(0 if a.batchable else None for a in args)
        yield tuple(-1 if a.batchable else None for a in args)
        yield tuple(i % (len(a.shape) + 1) if a.batchable else None for i, a in enumerate(args))


def draw_batched(case: Case, dtype: Any, in_axes: Sequence[int | None], size: int = BATCH) -> list[np.ndarray]:
    rng, found = generator(case), dtypes.canonical_dtype(dtype)
    drawn = [a.make(rng, found, () if axis is None else (size,)) for a, axis in zip(case.args, in_axes, strict=True)]
    return [x if axis is None else np.moveaxis(x, 0, axis) for x, axis in zip(drawn, in_axes, strict=True)]


def looped(function: Callable, args: Sequence[np.ndarray], in_axes: Sequence[int | None]) -> list[np.ndarray]:
    """What vmap must give: the function called for every element of the batch, the results stacked."""
    rows = []
    for i in range(BATCH):
        picked = [x if axis is None else np.take(x, i, axis) for x, axis in zip(args, in_axes, strict=True)]
        rows.append([np.asarray(out) for out in results(function(*map(asarray, picked)))])
    return [np.stack(column) for column in zip(*rows, strict=True)]


@each_case_and_dtype(lambda case: case.vmap and any(a.batchable for a in case.args))
def test_vmap(case: Case, dtype: str) -> None:
    """vmap over every operand's axes gives what a loop gives; under jit too, and for an empty batch."""
    for number, in_axes in enumerate(placements(case.args)):
        args = draw_batched(case, dtype, in_axes)
        expected = looped(case.function, args, in_axes)
        mapped = vmap(case.function, in_axes=in_axes)
        with config.using(debug_checks=True):
            outs = results(mapped(*map(asarray, args)))
        for got, answer in zip(outs, expected, strict=True):
            assert got.dtype == answer.dtype
            assert_close(
                got, wide(answer), max(case.ulp, 4) * (case.ulp > 0), is_elementwise(case), f"in_axes={in_axes}"
            )
        if number == 0:
            compiled, arrays = jit(mapped), [asarray(x) for x in args]
            program = compiled.trace(*arrays)
            for got, answer in zip(results(compiled(*arrays)), outs, strict=True):
                assert_as_eager(program, np.asarray(got), np.asarray(answer))
            last = results(vmap(case.function, in_axes=in_axes, out_axes=-1)(*map(asarray, args)))
            for got, answer in zip(last, outs, strict=True):
                assert_close(got, np.moveaxis(np.asarray(answer), 0, -1), 0, True, "out_axes=-1")
    empty = draw_batched(case, dtype, in_axes, size=0)
    for got, answer in zip(results(mapped(*map(asarray, empty))), expected, strict=True):
        assert (got.shape, got.dtype) == ((0, *answer.shape[1:]), answer.dtype)


# --- Derivatives ------------------------------------------------------------------------------------------------------


def double_dtypes(case: Case) -> list[str]:
    """float64 and complex128, as far as the case has dtypes of that kind."""
    kinds = {"complex128" if dtypes.is_complex(d) else "float64" for d in sweep(case) if dtypes.is_inexact(d)}
    return sorted(kinds)


def sweep(case: Case) -> list[np.dtype]:
    return [dtypes.canonical_dtype(d) for d in case.dtypes]


def differentiable(case: Case, args: Sequence[np.ndarray]) -> list[int]:
    return [i for i, x in enumerate(args) if case.args[i].differentiable and dtypes.is_inexact(x.dtype)]


def of_positions(function: Callable, args: Sequence[Any], positions: Sequence[int]) -> Callable:
    """`function` of some of its arguments, the others held."""

    def partial(*varied: Any) -> Any:
        full = list(args)
        for position, x in zip(positions, varied, strict=True):
            full[position] = x
        return [out for out in results(function(*full)) if dtypes.is_inexact(out.dtype)]

    return partial


def has_gradients(case: Case) -> bool:
    return case.order > 0 and bool(double_dtypes(case)) and any(a.differentiable for a in case.args)


@each_case(lambda case: case.smooth and has_gradients(case))
def test_derivatives(case: Case) -> None:
    """jvp and vjp against finite differences: of all operands up to the case's order, of each operand alone."""
    for dtype in double_dtypes(case):
        args = draw(case, dtype)
        positions = differentiable(case, args)
        groups = [positions] + [[i] for i in positions if len(positions) > 1]
        for group in groups:
            function = of_positions(case.function, [asarray(x) for x in args], group)
            order = case.order if group is positions else 1
            tolerance = {"rtol": case.tolerance, "atol": case.tolerance}
            check_grads(function, [args[i] for i in group], order, **tolerance)


@each_case(lambda case: has_gradients(case) and case.vmap)
def test_vmap_of_vjp(case: Case) -> None:
    """vjp under vmap gives the vjps of a loop; under jit too."""
    for dtype in double_dtypes(case):
        in_axes = [0 if a.batchable else None for a in case.args]
        args = draw_batched(case, dtype, in_axes)
        positions = differentiable(case, args)

        def gradients(*args: Any, positions: Sequence[int] = positions) -> Any:
            function = of_positions(case.function, args, positions)
            outs, pull_back = vjp(function, *[args[i] for i in positions])
            return pull_back([asarray(np.full(out.shape, 0.75, out.dtype)) for out in outs])

        expected = looped(gradients, args, in_axes)
        mapped = vmap(gradients, in_axes=tuple(in_axes))
        for got, answer in zip(results(mapped(*map(asarray, args))), expected, strict=True):
            assert_close(got, answer, max(case.ulp, 16), is_elementwise(case), dtype)
        # Compiled functions differ in their last digits, which may be the first of a difference: 1 - tanh(x)².
        assert_same(jit(mapped)(*map(asarray, args)), expected)


def direction(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    values = rng.standard_normal(like.shape)
    return (values + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else values).astype(like.dtype)


def linear_part(function: Callable, x: np.ndarray) -> Callable | None:
    """`function` of one array, less its value at zero, if that is linear over the real numbers (at a few points)."""
    at_zero = function(np.zeros_like(x))
    part = lambda v: function(v) - at_zero
    y = x[..., ::-1] if x.ndim else 3 * x + 1
    sums = np.allclose(part(x + 2 * y), part(x) + 2 * part(y)) and np.allclose(part(-x), -part(x))
    return part if sums and at_zero.size else None


@each_case(lambda case: case.smooth and has_gradients(case) and registry[case.primitive].has("transpose"))
def test_transpose(case: Case) -> None:
    """The transpose with respect to each operand in which the primitive is linear: <ct, f(x)> = <transpose(ct), x>."""
    for dtype in double_dtypes(case):
        args, rng = draw(case, dtype), generator(case)
        for i in differentiable(case, args):
            function = of_positions(case.function, [asarray(x) for x in args], [i])
            x = direction(rng, args[i])
            with np.errstate(all="ignore"):
                part = linear_part(lambda v, f=function: np.asarray(f(asarray(v))[0]), x)
            if part is None:
                continue
            ct = direction(rng, part(x))
            (transposed,) = linear_transpose(lambda v, f=function: f(v)[0], asarray(x))(asarray(ct))
            pairings = [np.sum(np.asarray(a) * b).real for a, b in ((transposed, x), (ct, part(x)))]
            np.testing.assert_allclose(*pairings, rtol=1e-6, atol=1e-6)


# --- JAX --------------------------------------------------------------------------------------------------------------


def in_jax(case: Case) -> tuple[Any, Callable]:
    jax = pytest.importorskip("jax")
    return jax, eval(case.jax, {"jax": jax, "jnp": jax.numpy, "lax": jax.lax, "np": np})


@pytest.mark.filterwarnings("ignore")
@each_case_and_dtype(lambda case: case.jax)
def test_jax_values(case: Case, dtype: str) -> None:
    """Values, shapes and dtypes are JAX's."""
    jax, function = in_jax(case)
    args = draw(case, dtype)
    outs = results(case.function(*map(asarray, args)))
    if dtype in ("float16", "bfloat16") and case.name in NOT_HALF_IN_JAX:
        with pytest.raises(NotImplementedError):
            function(*map(jax.numpy.asarray, args))
        return
    with jax.enable_x64(True):
        answers = [np.asarray(x) for x in jax.tree.leaves(function(*map(jax.numpy.asarray, args)))]
    assert [x.dtype for x in outs] == [x.dtype for x in answers]
    for got, answer in zip(outs, answers, strict=True):
        assert_close(got, wide(answer), 2 * case.ulp, is_elementwise(case), dtype)


@pytest.mark.filterwarnings("ignore")
@each_case(lambda case: case.jax and case.jax_gradient and has_gradients(case))
def test_jax_gradients(case: Case) -> None:
    """Gradients are JAX's, at ties and boundaries too, where finite differences cannot judge."""
    jax, function = in_jax(case)
    for dtype in double_dtypes(case):
        args = draw(case, dtype)
        positions = differentiable(case, args)
        varied = [args[i] for i in positions]
        ours = of_positions(case.function, [asarray(x) for x in args], positions)
        outs, pull_back = vjp(ours, *map(asarray, varied))
        cotangents = [generator(case).uniform(0.5, 1.5, out.shape).astype(out.dtype) for out in outs]
        gradients = pull_back([asarray(ct) for ct in cotangents])

        def theirs(*xs: Any, args: Sequence[Any] = args, positions: Sequence[int] = positions) -> Any:
            full = list(args)
            for position, x in zip(positions, xs, strict=True):
                full[position] = x
            outs = jax.tree.leaves(function(*map(jax.numpy.asarray, full)))
            return [out for out in outs if jax.numpy.issubdtype(out.dtype, jax.numpy.inexact)]

        with jax.enable_x64(True):
            pulled = jax.jit(lambda xs, cts: jax.vjp(theirs, *xs)[1](cts))
            answers = pulled(varied, cotangents)
        for got, answer in zip(gradients, answers, strict=True):
            assert_close(got, wide(np.asarray(answer)), max(4 * case.ulp, 64), False, dtype)


# --- The matrix of primitives and rules -------------------------------------------------------------------------------


def test_every_rule_is_there_or_refused_with_a_reason() -> None:
    """The matrix of primitives and rules has no hole; `pytest -s` prints it."""
    holes = []
    lines = [f"{'primitive':28}" + "".join(f"{rule:>11}" for rule in RULES)]
    for name, prim in sorted(registry.items()):
        marks = ["yes" if prim.has(rule) else "refused" if prim.refused.get(rule) else "MISSING" for rule in RULES]
        lines.append(f"{name:28}" + "".join(f"{mark:>11}" for mark in marks))
        holes += [f"{name}.{rule}" for rule, mark in zip(RULES, marks, strict=True) if mark == "MISSING"]
    print("\n".join(lines))
    assert not holes, f"neither defined nor refused with a reason: {', '.join(holes)}"


def test_every_primitive_has_a_case() -> None:
    covered = {case.primitive for _, case in ALL}
    assert sorted(covered - set(registry)) == [], "cases of primitives that do not exist"
    assert sorted(set(registry) - covered - set(TESTED_ELSEWHERE)) == [], "primitives without a case"
    assert sorted(set(TESTED_ELSEWHERE) & covered) == [], "cases of primitives listed as tested elsewhere"


def test_every_module_can_be_imported() -> None:
    assert BROKEN == {}


def test_case_names_are_unique() -> None:
    names = [name for name, _ in ALL]
    assert len(set(names)) == len(names)
