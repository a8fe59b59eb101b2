"""`x.at[...]` beyond NumPy: its keywords, functions applied, what a debug flag reports; also einsum's paths."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ImmutableError, IndexingError
from nrx.experimental import checkify
from nrx.testing import check_grads

LINE = np.array([1.0, 2.0, 3.0, 4.0])


# --- Keywords ---------------------------------------------------------------------------------------------------------


def test_negative_indices_that_do_not_wrap() -> None:
    x = jnp.asarray(LINE)
    with pytest.raises(IndexingError, match=r"index -1 is out of bounds for axis 0 of shape \(4,\)") as caught:
        x.at[-1].get(wrap_negative_indices=False)
    assert "from 0 to 3" in str(caught.value)
    with pytest.raises(IndexingError, match="index -2"):
        x.at[np.array([1, -2])].set(0.0, wrap_negative_indices=False)
    positions = np.array([-1, 2, 4])
    for run in (lambda f: f, nrx.jit):
        filled = run(lambda x, p: x.at[p].get(mode="fill", wrap_negative_indices=False))(x, positions)
        np.testing.assert_array_equal(filled, [np.nan, 3, np.nan])
        clipped = run(lambda x, p: x.at[p].get(mode="clip", wrap_negative_indices=False))(x, positions)
        np.testing.assert_array_equal(clipped, [1, 3, 4])
        for name, expected in [("set", 9), ("add", 12), ("multiply", 27), ("power", 3**9), ("divide", 3 / 9),
                               ("subtract", -6), ("min", 3), ("max", 9)]:  # fmt: skip
            dropped = run(
                lambda x, p, name=name: getattr(x.at[p], name)(9.0, mode="drop", wrap_negative_indices=False)
            )(x, positions)
            np.testing.assert_array_equal(dropped, [1, 2, expected, 4])
        along = run(lambda x, p: jnp.take_along_axis(x, p, 0, mode="fill", wrap_negative_indices=False))(x, positions)
        np.testing.assert_array_equal(along, [np.nan, 3, np.nan])
    np.testing.assert_array_equal(x.at[1:-1].get(wrap_negative_indices=False), LINE[1:-1])  # slices are not affected


def test_sharding_is_refused() -> None:
    x = jnp.asarray(LINE)
    assert x.at[0].set(5.0, out_sharding=None).tolist() == [5, 2, 3, 4]
    for call in (lambda: x.at[0].get(out_sharding="x"), lambda: x.at[0].add(1.0, out_sharding="x")):
        with pytest.raises(ArgumentError, match="out_sharding"):
            call()


def test_what_changes_arrays_in_place_says_what_to_do() -> None:
    x = jnp.asarray(LINE)

    def assign(x: Any) -> None:
        x[0] = 1.0

    def delete(x: Any) -> None:
        del x[0]

    for change in (assign, delete):
        for run in (change, nrx.jit(change)):
            with pytest.raises(ImmutableError):
                run(x)
    with pytest.raises(ImmutableError, match=r"x\.at\[index\]\.set\(value\)"):
        assign(x)


# --- apply ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [2, slice(0, 3), np.array([0, 0, 1]), np.array([[1, 1], [1, -3]]), LINE > 2], ids=str)
def test_functions_apply_as_often_as_an_element_is_meant(index: Any) -> None:
    """As `numpy.ufunc.at` does, and JAX."""
    expected = LINE.copy()
    np.square.at(expected, index)
    x = jnp.asarray(LINE)
    np.testing.assert_allclose(x.at[index].apply(jnp.square), expected, rtol=1e-15)
    np.testing.assert_allclose(nrx.jit(lambda x: x.at[index].apply(jnp.square))(x), expected, rtol=1e-15)
    check_grads(lambda x: x.at[index].apply(jnp.square), (LINE,), order=2)
    if isinstance(index, np.ndarray) and index.dtype != bool:
        traced = nrx.jit(lambda x, i: x.at[i].apply(jnp.square))
        np.testing.assert_allclose(traced(x, index), expected, rtol=1e-15)
        check_grads(lambda x: traced(x, index), (LINE,), order=2, modes="fwd")


def test_functions_applied_to_unique_traced_positions_have_gradients() -> None:
    function = nrx.jit(lambda x, i: x.at[i].apply(jnp.square, unique_indices=True))
    check_grads(lambda x: function(x, np.array([0, 3])), (LINE,), order=2)
    check_grads(lambda x: nrx.jit(lambda x, i: x.at[i].apply(jnp.square))(x, 2), (LINE,), order=2)


def test_functions_applied_out_of_bounds() -> None:
    positions = np.array([9, 1, 1])
    for run in (lambda f: f, nrx.jit):
        got = run(lambda p: jnp.asarray(LINE).at[p].apply(jnp.square, mode="drop"))(positions)
        np.testing.assert_array_equal(got, [1, 16, 3, 4])
        got = run(lambda p: jnp.asarray(LINE).at[p].apply(jnp.square, mode="clip"))(positions)
        np.testing.assert_array_equal(got, [1, 16, 3, 16])


def test_a_batch_of_functions_applied() -> None:
    positions = np.array([[0, 0, 0], [1, 2, 3]])
    got = nrx.vmap(lambda p: jnp.asarray(LINE).at[p].apply(lambda v: 2 * v))(positions)
    np.testing.assert_array_equal(got, [[8, 2, 3, 4], [1, 4, 6, 8]])


# --- Ties and repeated elements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["min", "max"])
@pytest.mark.parametrize("index", [np.array([1, 1, 3]), slice(1, 4), np.array([-1, 0, 1])], ids=str)
def test_derivatives_at_ties_are_jaxs(method: str, index: Any) -> None:
    jax = pytest.importorskip("jax")
    x, values = np.float32([1, 2, 2, 3]), np.float32([2, 2, 3])

    def derivatives(library: Any, xp: Any) -> list[np.ndarray]:
        def update(x: Any, v: Any) -> Any:
            return getattr(x.at[index], method)(v)

        def loss(x: Any, v: Any) -> Any:
            return xp.sum(xp.sin(update(x, v)) * xp.arange(1.0, 5.0))

        tangents = xp.asarray(x), xp.asarray(values) * 0.5
        forward = library.jvp(update, (xp.asarray(x), xp.asarray(values)), tangents)
        first = library.grad(loss, (0, 1))(xp.asarray(x), xp.asarray(values))
        second = library.jvp(library.grad(loss, (0, 1)), (xp.asarray(x), xp.asarray(values)), tangents)[1]
        return [np.asarray(part) for part in (*forward, *first, *second)]

    for ours, theirs in zip(derivatives(nrx, jnp), derivatives(jax, jax.numpy), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


# --- debug_indices ----------------------------------------------------------------------------------------------------

F32 = LINE.astype(np.float32)


def summed_by_scan(x: Any, positions: Any) -> Any:
    return nrx.lax.scan(lambda total, p: (total * x[p], None), x[0], positions)[0]


BEYOND: list[tuple[str, Callable, Any, int]] = [
    ("jit", lambda i: nrx.jit(lambda i: jnp.asarray(F32)[i])(i), [1, 7], 7),
    ("scalar", lambda i: nrx.jit(lambda i: jnp.asarray(F32)[i])(i), -5, -5),
    ("two axes", lambda i: nrx.jit(lambda i: jnp.ones((9, 4))[i, i])(i), [1, 5], 5),
    ("set", lambda i: nrx.jit(lambda i: jnp.asarray(F32).at[i].set(0.0))(i), [-9, 2], -9),
    ("add", lambda i: nrx.jit(lambda i: jnp.asarray(F32).at[i].add(0.0))(i), [4, 2], 4),
    ("power", lambda i: nrx.jit(lambda i: jnp.asarray(F32).at[i].power(2.0))(i), [4, 2], 4),
    ("apply", lambda i: nrx.jit(lambda i: jnp.asarray(F32).at[i].apply(jnp.sin))(i), [4, 2], 4),
    ("take", lambda i: nrx.jit(lambda i: jnp.take(F32, i))(i), [2, 4], 4),
    ("take_along_axis", lambda i: nrx.jit(lambda i: jnp.take_along_axis(F32, i, 0))(i), [2, 4], 4),
    ("vmap", lambda i: nrx.vmap(lambda i: jnp.asarray(F32)[i])(i), [1, 7], 7),
    ("jit of vmap", lambda i: nrx.jit(nrx.vmap(lambda i: jnp.asarray(F32)[i]))(i), [1, 7], 7),
    ("grad", lambda i: nrx.jit(nrx.grad(lambda x, i: x[i] ** 2))(F32, i), 6, 6),
    ("vmap of grad", lambda i: nrx.vmap(nrx.grad(lambda x, i: x[i]), (None, 0))(F32, i), [1, 2, 6], 6),
    ("scan", lambda i: nrx.jit(lambda x, i: summed_by_scan(x, i))(F32, i), [1, 5, 2], 5),
    ("grad of scan", lambda i: nrx.jit(nrx.grad(lambda x, i: summed_by_scan(x, i)))(F32, i), [1, 5, 2], 5),
    ("fori", lambda n: nrx.jit(lambda n: nrx.lax.fori_loop(0, n, lambda k, s: s + jnp.asarray(F32)[k], 0.0))(n), 6, 4),
    ("cond", lambda i: nrx.jit(lambda i: nrx.lax.cond(i > 3, lambda: jnp.asarray(F32)[i], lambda: 0.0))(i), 5, 5),
]  # fmt: skip


@pytest.mark.parametrize(("function", "index", "position"), [row[1:] for row in BEYOND], ids=[row[0] for row in BEYOND])
def test_indices_out_of_bounds_are_reported(function: Callable, index: Any, position: int) -> None:
    index = np.asarray(index)
    np.asarray(function(index))  # nothing is said as long as nobody asks
    with nrx.config.using(debug_indices=True):
        with pytest.raises(IndexingError, match=rf"index {position} is out of bounds for axis . of shape") as caught:
            np.asarray(function(index))
        assert caught.value.source.file == __file__
        assert "x[" in caught.value.source.code or "jnp." in caught.value.source.code
        np.asarray(function(np.zeros_like(index)))
    np.asarray(function(index))


def test_indices_with_a_mode_are_not_reported() -> None:
    with nrx.config.using(debug_indices=True):
        x = jnp.asarray(F32)
        for mode in ("clip", "fill", "promise_in_bounds"):
            nrx.jit(lambda i, mode=mode: x.at[i].get(mode=mode))(9)
        assert nrx.jit(lambda i: jnp.take(x, i, mode="wrap"))(9) == 2
        taken_only = nrx.jit(lambda i: nrx.lax.cond(i > 8, lambda: 0.0, lambda: x[i]))
        assert taken_only(9) == 0
        with pytest.raises(IndexingError, match="index 8"):
            taken_only(8)


def test_reports_cost_nothing_unless_asked_for() -> None:
    def function(i: Any) -> Any:
        return jnp.asarray(F32)[i]

    plain = [eqn.prim.name for eqn in nrx.make_jaxpr(function)(1).eqns]
    with nrx.config.using(debug_indices=True):
        assert "check" in [eqn.prim.name for eqn in nrx.make_jaxpr(function)(1).eqns]
    assert "check" not in plain


def test_reports_become_values_by_checkify() -> None:
    with nrx.config.using(debug_indices=True):
        error, _ = nrx.jit(checkify.checkify(lambda i: jnp.asarray(F32)[i]))(np.array([1, 7]))
    assert "index 7 is out of bounds for axis 0 of shape (4,)" in error.get()
    with pytest.raises(IndexingError, match="index 7"):
        error.throw()


# --- Numbers ----------------------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable] = {
    **{
        name: lambda x, v, name=name: getattr(x.at[0], name)(v)
        for name in ("set", "add", "subtract", "multiply", "divide", "power", "min", "max")
    },
    "mask": lambda x, v: x.at[x > 0].set(v),
    "apply": lambda x, v: x.at[0].apply(lambda _: v),
    "insert": lambda x, v: jnp.insert(x, 0, v),
    "put": lambda x, v: jnp.put(x, 0, v, inplace=False),
    "place": lambda x, v: jnp.place(x, x > 0, v, inplace=False),
    "put_along_axis": lambda x, v: jnp.put_along_axis(x, jnp.array([1]), v, 0, inplace=False),
    "fill_diagonal": lambda x, v: jnp.fill_diagonal(x[None], v, inplace=False),
    "piecewise": lambda x, v: jnp.piecewise(x, [x > 5], [0, v]),
    "pad": lambda x, v: jnp.pad(x, 1, mode="linear_ramp", end_values=v),
    "max": lambda x, v: jnp.max(x - 9, initial=v),
    "fill": lambda x, v: x.at[jnp.array(9)].get(mode="fill", fill_value=v),
}


@pytest.mark.parametrize("name", WRITERS)
def test_python_numbers_keep_their_precision(name: str) -> None:
    """0.1 does not come by way of float32 into an array of float64."""
    x = np.array([1.0, 2.0, 3.0])
    number = WRITERS[name](jnp.asarray(x), 0.1)
    array = WRITERS[name](jnp.asarray(x), np.float64(0.1))
    assert number.dtype == np.float64
    np.testing.assert_array_equal(number, array)
    np.testing.assert_array_equal(nrx.jit(lambda x: WRITERS[name](x, 0.1))(x), array)


_DTYPES = ["bool", "int8", "uint8", "int64", "uint32", "float16", "bfloat16", "float32", "float64", "complex64"]
_UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


@pytest.mark.parametrize("dtype", _DTYPES)
@pytest.mark.parametrize(
    "index", [1, slice(3, 0, -1), np.array([0, 2, 2]), (np.array([1, 1]), ...), np.array([1, 0, 1, 1]) > 0], ids=str
)
def test_updates_in_every_dtype(dtype: str, index: Any) -> None:
    """At once, and compiled; also what may be meant twice."""
    x = jnp.asarray(np.array([1, 0, 2, 3])).astype(dtype)
    wide = np.asarray(x).astype(np.complex128 if dtype == "complex64" else np.float64)
    np.testing.assert_array_equal(np.asarray(x[index]).astype(wide.dtype), wide[index], strict=True)
    value = np.ones(np.shape(wide[index]))
    for name in ("set", "min", "max") if dtype == "bool" else ("set", *_UFUNCS):
        expected = wide.copy()
        if name == "set":
            expected[index] = value
        else:
            _UFUNCS[name].at(expected, index, value)
        new = jnp.asarray(value).astype(dtype)
        for run in (lambda f: f, nrx.jit):
            got = run(lambda x, new, name=name: getattr(x.at[index], name)(new))(x, new)
            assert got.dtype == x.dtype
            np.testing.assert_array_equal(np.asarray(got).astype(wide.dtype), expected)


def test_what_was_read_stays_as_it_is() -> None:
    """NumPy shares the memory of slices; arrays never change."""
    positions = np.array([0, 1])
    x = nrx.jit(lambda x: x + 1)(LINE)
    parts = [x[1:], x[::-2], x[None], x[positions], x.at[0].set(5.0)]
    expected = [np.array(part) for part in parts]
    positions[:] = 3
    nrx.jit(lambda x: x * 2, donate_argnums=0)(x)
    for part, kept in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, kept)
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(part)[..., 0] = 7


# --- Constants made inside of a traced function -----------------------------------------------------------------------


def test_numbers_in_lists_are_known_under_jit() -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(nrx.jit(lambda x: jnp.insert(x, jnp.array([0, 2]), 9.0, axis=1))(x),
                                  np.insert(x, [0, 2], 9.0, axis=1))  # fmt: skip
    with pytest.raises(IndexingError, match="index 7"):
        nrx.jit(lambda x: x[jnp.array([0, 7])])(x)
    np.testing.assert_array_equal(nrx.jit(lambda x: x[jnp.array([True, False])])(x), x[:1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_with_a_sorter(side: str) -> None:
    rng = np.random.default_rng(0)
    line, values = rng.integers(0, 9, 20).astype(np.float64), rng.integers(-1, 11, (3, 5)).astype(np.float64)
    sorter = np.argsort(line)
    expected = np.searchsorted(line, values, side, sorter)
    np.testing.assert_array_equal(jnp.searchsorted(line, values, side, sorter), expected)
    np.testing.assert_array_equal(
        nrx.jit(lambda a, v, s: jnp.searchsorted(a, v, side, s))(line, values, sorter), expected
    )


# --- The order of products of einsum ----------------------------------------------------------------------------------


def random_network(rng: np.random.Generator) -> tuple[str, list[np.ndarray]]:
    labels = list("abcdefgh")[: rng.integers(2, 9)]
    lengths = {label: rng.choice([1, 2, 3, 5, 8]) for label in labels}
    terms = ["".join(rng.permutation(labels)[: rng.integers(0, 5)]) for _ in range(rng.integers(2, 7))]
    named = sorted(set("".join(terms)))
    output = "".join(rng.permutation(named)[: rng.integers(0, len(named) + 1)]) if named else ""
    arrays = [rng.uniform(-1, 1, [lengths[c] for c in term]) for term in terms]
    return f"{','.join(terms)}->{output}", arrays


def test_paths_are_as_cheap_as_numpys_optimal_ones() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        text, arrays = random_network(rng)
        best, said = np.einsum_path(text, *arrays, optimize="optimal")
        path, ours = jnp.einsum_path(text, *arrays, optimize="optimal")
        operations = int(re.search(r"operations: ([\d,]+)", ours)[1].replace(",", ""))
        assert operations <= float(re.search(r"Optimized FLOP count: *(\S+)", said)[1]) * 1.001  # four digits are said
        expected = np.einsum(text, *arrays)
        for optimize in (True, False, "optimal", "greedy", best, path, path[1:]):
            got = jnp.einsum(text, *arrays, optimize=optimize)
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_the_costs_of_a_path() -> None:
    """Lengths 10, 100, 5, 50: 10·100·5 + 10·5·50 products from the left, 100·5·50 + 10·100·50 from the right."""
    shapes = [(10, 100), (100, 5), (5, 50)]
    arrays = [np.ones(shape) for shape in shapes]
    path, text = jnp.einsum_path("ab,bc,cd->ad", *arrays)
    assert path == ["einsum_path", (0, 1), (0, 1)]
    assert "operations: 15,000" in text  # as many additions as products
    assert "largest product: 500" in text
    _, text = jnp.einsum_path("ab,bc,cd->ad", *arrays, optimize=[(1, 2), (0, 1)])
    assert "operations: 150,000" in text


def test_long_chains_are_multiplied_pair_by_pair() -> None:
    """Twelve matrices, more than the search for the cheapest order takes; all at once would be 4**13 products."""
    rng = np.random.default_rng(1)
    matrices = [rng.uniform(-1, 1, (4, 4)) for _ in range(12)]
    text = ",".join("abcdefghijklm"[i : i + 2] for i in range(12)) + "->am"
    path, said = jnp.einsum_path(text, *matrices)
    assert len(path) == 12
    assert int(re.search(r"operations: ([\d,]+)", said)[1].replace(",", "")) == 11 * 2 * 64
    np.testing.assert_allclose(jnp.einsum(text, *matrices), np.linalg.multi_dot(matrices), rtol=1e-10)


@pytest.mark.parametrize(
    ("optimize", "message"),
    [
        ("cheap", "no order of products"),
        ([(0, 1), (0, 5)], "does not fit 2 arrays"),
        ([(0, 1)], "leaves 2 of 3"),
        ([(0, 0), (0, 1)], "does not fit"),
        ([(0, 1.5)], "no order of products"),
        (3, "no order of products"),
    ],
)
def test_paths_that_do_not_fit(optimize: Any, message: str) -> None:
    x = np.ones((2, 2))
    for function in (jnp.einsum, jnp.einsum_path):
        with pytest.raises(ArgumentError, match=message):
            function("ij,jk,kl->il", x, x, x, optimize=optimize)


@pytest.mark.parametrize("dtype", ["complex64", "bfloat16", "float32"])
@pytest.mark.parametrize("how", ["set", "add", "multiply"])
def test_one_element_updates_a_scalar_place(dtype: str, how: str) -> None:
    x = jnp.ones(3, dtype)
    for shape in ((1,), (1, 1)):
        value = jnp.full(shape, 2, dtype)
        expected = [1, {"set": 2, "add": 3, "multiply": 2}[how], 1]
        for f in (lambda x, v: getattr(x.at[1], how)(v), nrx.jit(lambda x, v: getattr(x.at[1], how)(v))):
            np.testing.assert_array_equal(np.asarray(f(x, value), "complex64"), expected)
