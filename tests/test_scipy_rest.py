"""The small modules of `nrx.scipy` beside SciPy: ndimage, interpolate, integrate, spatial.transform, cluster.vq."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.integrate
import scipy.interpolate
import scipy.ndimage
import scipy.spatial.transform as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.scipy.cluster.vq import vq
from nrx.scipy.integrate import trapezoid
from nrx.scipy.interpolate import RegularGridInterpolator
from nrx.scipy.ndimage import map_coordinates
from nrx.scipy.spatial.transform import Rotation, Slerp
from nrx.testing import check_grads

RNG = np.random.default_rng(0)


# map_coordinates

#: Our modes, and what SciPy calls them.
MODES = {
    "constant": "grid-constant", "nearest": "nearest", "wrap": "grid-wrap", "mirror": "mirror", "reflect": "reflect",
    "grid-constant": "grid-constant", "grid-wrap": "grid-wrap", "grid-mirror": "grid-mirror",
}  # fmt: skip


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_map_coordinates(mode: str, order: int) -> None:
    places = RNG.uniform(-9, 14, size=(2, 40))
    for image in (RNG.normal(size=(4, 5)), RNG.integers(-100, 100, size=(4, 5)), RNG.normal(size=(1, 3))):
        if order == 0:  # at halves neighbours are as near
            places = np.where(np.abs(places % 1 - 0.5) < 1e-9, 0.2, places)
        theirs = scipy.ndimage.map_coordinates(image.astype(float), places, order=order, mode=MODES[mode], cval=3)
        ours = nrx.jit(lambda x, c: map_coordinates(x, c, order, mode, cval=3))(image, places)
        assert ours.dtype == image.dtype
        assert ours.shape == (40,)
        if image.dtype.kind == "i":
            np.testing.assert_allclose(ours, theirs, atol=0.5 + 1e-9)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_map_coordinates_of_other_shapes_and_dtypes() -> None:
    image = RNG.normal(size=(3, 4, 2))
    x, y, z = np.mgrid[0:2:3j, 0:3:4j, 0:1:2j]
    np.testing.assert_allclose(map_coordinates(image, [x, y, z], 1), image, rtol=1e-14)
    rows = map_coordinates(image, (np.arange(3)[:, None], np.int32(1), np.arange(2)), 0)  # broadcast
    np.testing.assert_array_equal(rows, image[:, 1])
    assert map_coordinates(image.astype("float32"), [x, y, z], 1).dtype == jnp.float32
    np.testing.assert_allclose(map_coordinates(image * 1j, [x, y, z], 1), image * 1j)
    assert map_coordinates(jnp.ones((2, 2), bool), jnp.ones((2, 3)), 1).dtype == bool
    np.testing.assert_array_equal(map_coordinates(jnp.arange(3), [jnp.array([0.5, 1.5, 1.4])], 1), [1, 2, 1])
    assert map_coordinates(image, jnp.ones((3, 0)), 1).shape == (0,)
    np.testing.assert_array_equal(map_coordinates(np.zeros((0, 2)), np.ones((2, 3)), 1, cval=2.5), [2.5] * 3)
    assert float(map_coordinates(jnp.asarray(7.0), [], 1)) == 7


def test_integer_images_are_exact() -> None:
    image = np.array([2**53 + 1, -(2**40) - 3, 2**31 + 7])
    at = np.array([0.2, 0.8, 2, 3])
    np.testing.assert_array_equal(map_coordinates(image, [at], 0, "wrap"), image[[0, 1, 2, 0]])
    single = np.array([2**24 + 1, 2**30 + 1], "int32")
    np.testing.assert_array_equal(map_coordinates(single, [jnp.arange(2.0)], 0), single)


@pytest.mark.parametrize("mode", MODES)
def test_coordinates_far_beyond_the_edges(mode: str) -> None:
    image, far = RNG.normal(size=3), np.array([[1e12, -1e12, 3e9 + 1, -5e9 - 2]])
    for order in (0, 1):
        theirs = scipy.ndimage.map_coordinates(image, far, order=order, mode=MODES[mode], cval=2)
        np.testing.assert_allclose(map_coordinates(image, far, order, mode, cval=2), theirs)


def test_narrow_coordinates() -> None:
    image = RNG.normal(size=2000).astype("float32")
    at = np.array([1999.0, 300.5, 2005], "float16")
    theirs = scipy.ndimage.map_coordinates(image, [at.astype(float)], order=1, mode="mirror")
    np.testing.assert_allclose(map_coordinates(image, [at], 1, "mirror"), theirs, rtol=1e-5)
    places = jnp.array([255.0, 256.0, 300.0], "bfloat16")
    np.testing.assert_allclose(map_coordinates(image, [places], 1), image[[255, 256, 300]], rtol=1e-6)


def test_derivatives_of_map_coordinates() -> None:
    image, places = RNG.normal(size=(4, 5)), RNG.uniform(-1.4, 5.4, size=(2, 6))
    for mode in ("constant", "nearest", "wrap", "mirror", "reflect"):
        check_grads(lambda x, c, mode=mode: map_coordinates(x, c, 1, mode), (image, places), order=2)
    check_grads(lambda x: map_coordinates(x, places, 0, "nearest"), (image,), order=1)
    images = RNG.normal(size=(3, 4, 5))
    batched = nrx.vmap(lambda x: map_coordinates(x, places, 1))(images)
    np.testing.assert_allclose(batched[1], map_coordinates(images[1], places, 1), rtol=1e-14)


def test_mistakes_of_map_coordinates() -> None:
    image, places = jnp.ones((2, 3)), jnp.ones((2, 5))
    with pytest.raises(ArgumentError, match="order is 0 or 1"):
        map_coordinates(image, places, 3)
    with pytest.raises(ArgumentError, match="mode 'around'"):
        map_coordinates(image, places, 1, "around")
    with pytest.raises(ShapeError, match="5 coordinates"):
        map_coordinates(image, places.T, 1)
    with pytest.raises(DTypeError, match="real"):
        map_coordinates(image, places * 1j, 1)
    with pytest.raises(ArgumentTypeError, match="coordinates must be a sequence"):
        map_coordinates(image, None, 1)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="no points"):
        map_coordinates(jnp.ones((0, 3)), places, 1, "nearest")


# RegularGridInterpolator

GRID = (np.array([0.0, 0.5, 2.0, 3.0]), np.array([-1.0, 0.0, 0.25]))


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill_value", [np.nan, None, 7.0])
@pytest.mark.parametrize("further", [(), (2, 3)])
def test_interpolation(method: str, fill_value: Any, further: tuple) -> None:
    values = RNG.normal(size=(4, 3, *further))
    ours = RegularGridInterpolator(GRID, values, method, False, fill_value)
    theirs = scipy.interpolate.RegularGridInterpolator(GRID, values, method, False, fill_value)
    places = RNG.uniform([-0.5, -1.5], [3.5, 0.5], size=(30, 2))
    at_points = np.stack(np.meshgrid(*GRID, indexing="ij"), -1)
    for xi in (places, places.reshape(5, 6, 2), at_points, tuple(places.T), places[0], places.reshape(-1)):
        np.testing.assert_allclose(nrx.jit(lambda f, x: f(x))(ours, xi), theirs(xi), rtol=1e-12, atol=1e-13)
    other = "nearest" if method == "linear" else "linear"
    np.testing.assert_allclose(ours(places, method=other), theirs(places, method=other), rtol=1e-12, atol=1e-13)


def test_interpolation_in_one_variable() -> None:
    values = RNG.normal(size=4)
    f = RegularGridInterpolator(GRID[:1], values)
    x = np.linspace(0, 3, 7)
    for xi in (x, x[:, None], (x,)):
        np.testing.assert_allclose(f(xi), np.interp(x, GRID[0], values), rtol=1e-12)
    assert np.isnan(f(np.array([np.nan]))).all()
    assert RegularGridInterpolator((jnp.arange(3),), jnp.arange(3))(jnp.array([0.5])).dtype == jnp.float32
    z = RegularGridInterpolator(GRID[:1], values * 1j, fill_value=1j)
    np.testing.assert_allclose(z(np.array([0.25, 9.0])), [0.5j * (values[0] + values[1]), 1j])


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill_value", [np.nan, None, 7.0])
def test_interpolation_at_nan(method: str, fill_value: Any) -> None:
    values, places = RNG.normal(size=(4, 3, 2)), RNG.uniform([0, -1], [3, 0.25], size=(4, 2))
    places[0, 0] = places[1, 1] = np.nan
    places[2] = np.nan, 9.0
    theirs = scipy.interpolate.RegularGridInterpolator(GRID, values, method, False, fill_value)(places)
    np.testing.assert_allclose(RegularGridInterpolator(GRID, values, method, False, fill_value)(places), theirs)


def test_derivatives_of_interpolation() -> None:
    values, places = RNG.normal(size=(4, 3)), RNG.uniform([0.1, -0.9], [2.9, 0.2], size=(5, 2))
    f = lambda grid, values, x: RegularGridInterpolator(grid, values)(x)
    check_grads(f, (GRID, values, places), order=2)
    many = RNG.normal(size=(3, 4, 3))
    batched = nrx.vmap(lambda v: RegularGridInterpolator(GRID, v)(places))(many)
    np.testing.assert_allclose(batched[2], f(GRID, many[2], places), rtol=1e-13)


def test_mistakes_of_interpolation() -> None:
    values = np.ones((4, 3))
    with pytest.raises(ArgumentError, match="method 'cubic'"):
        RegularGridInterpolator(GRID, values, "cubic")
    with pytest.raises(ArgumentError, match="bounds_error"):
        RegularGridInterpolator(GRID, values, bounds_error=True)
    for grid in (GRID[::-1], (*GRID, GRID[0]), (GRID[0][None], GRID[1])):
        with pytest.raises(ShapeError, match="do not go with"):
            RegularGridInterpolator(grid, values)
    with pytest.raises(ShapeError, match="do not go with"):
        RegularGridInterpolator((np.ones(1),), np.ones(1))
    for wrong in ([0.0, 2, 1], [3.0, 2, 1], [0.0, 1, 1], [0.0, np.nan, 1]):
        with pytest.raises(ArgumentError, match="strictly increasing"):
            RegularGridInterpolator((GRID[0], np.array(wrong)), values)
    with pytest.raises(ArgumentTypeError, match="sequence of vectors, got 3"):
        RegularGridInterpolator(3, values)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="complex fill_value"):
        RegularGridInterpolator(GRID, values, fill_value=1j)
    with pytest.raises(DTypeError, match="real"):
        RegularGridInterpolator((GRID[0] * 1j, GRID[1]), values)
    f = RegularGridInterpolator(GRID, values)
    for xi in (np.ones((2, 3)), np.ones(3), (np.ones(2), 1.0, 2.0)):
        with pytest.raises(ShapeError, match="grid of 2 axes"):
            f(xi)


# integrate, cluster


def test_trapezoid() -> None:
    y, x = RNG.normal(size=(3, 5)), np.sort(RNG.normal(size=5))
    np.testing.assert_allclose(trapezoid(y, x), scipy.integrate.trapezoid(y, x))
    np.testing.assert_allclose(trapezoid(y, dx=0.5, axis=0), scipy.integrate.trapezoid(y, dx=0.5, axis=0))


def test_vq() -> None:
    obs, codes = RNG.normal(size=(20, 3)), RNG.normal(size=(6, 3))
    for x, book in ((obs, codes), (obs[:, 0], codes[:, 0]), (obs[:0], codes)):
        ours = nrx.jit(vq)(x, book)
        if x.size:
            for got, expected in zip(ours, scipy.cluster.vq.vq(x, book), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert ours[0].shape == ours[1].shape == x.shape[:1]
    assert vq(np.arange(3), np.arange(2))[1].dtype == jnp.float32
    check_grads(lambda x, book: vq(x, book)[1], (obs, codes), order=2)
    for x, book in ((obs, codes[0]), (obs, codes[:, :2]), (obs, codes[:0]), (obs[None], codes[None])):
        with pytest.raises(ShapeError, match="code book"):
            vq(x, book)


# Rotations

QUATS = RNG.normal(size=(6, 4))
OURS, THEIRS = Rotation.from_quat(QUATS), reference.Rotation.from_quat(QUATS)
SEQUENCES = ["".join(s) for axes in ("xyz", "XYZ") for s in itertools.product(axes, repeat=3) if s[0] != s[1] != s[2]]


def same(ours: Any, theirs: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seq", SEQUENCES)
def test_euler_angles(seq: str) -> None:
    same(OURS.as_euler(seq), THEIRS.as_euler(seq))
    same(OURS[0].as_euler(seq, degrees=True), THEIRS[0].as_euler(seq, degrees=True), 1e-10)
    angles = RNG.uniform(-180, 180, size=(5, 3))
    for n in (1, 2, 3):
        ours = Rotation.from_euler(seq[:n], angles[:, :n], degrees=True)
        same(ours.as_matrix(), reference.Rotation.from_euler(seq[:n], angles[:, :n], degrees=True).as_matrix())
    # Gimbal lock: the angles differ by convention, the rotation does not.
    for middle in (0, np.pi) if seq[0] == seq[2] else (np.pi / 2, -np.pi / 2):
        locked = reference.Rotation.from_euler(seq, [0.3, middle, 0.5])
        found = Rotation.from_quat(locked.as_quat()).as_euler(seq)
        same(reference.Rotation.from_euler(seq, found).as_matrix(), locked.as_matrix(), 1e-7)
        assert found[2] == 0


@pytest.mark.filterwarnings("ignore:Gimbal lock")
@pytest.mark.parametrize("seq", SEQUENCES)
def test_euler_angles_of_half_turns_and_of_small_turns(seq: str) -> None:
    halves = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, -1]])
    same(Rotation.from_quat(halves).as_euler(seq), reference.Rotation.from_quat(halves).as_euler(seq), 1e-9)
    if seq[0] != seq[2]:
        small = np.array([1e-9, 2e-9, -3e-9])
        np.testing.assert_allclose(Rotation.from_euler(seq, small).as_euler(seq)[[0, 2]], small[[0, 2]], rtol=1e-9)


def test_vectors_of_half_turns() -> None:
    halves = np.vstack([np.eye(4)[:3], -np.eye(4)[:3], [[-1.0, 1, 0, 0], [0, -1, 2, -0.0]]])
    same(Rotation.from_quat(halves).as_rotvec(), reference.Rotation.from_quat(halves).as_rotvec())


def test_one_axis() -> None:
    same(Rotation.from_euler("z", 0.3).as_quat(), reference.Rotation.from_euler("z", 0.3).as_quat(), 1e-7)
    many = np.array([[0.3], [0.7]])
    same(Rotation.from_euler("X", many).as_quat(), reference.Rotation.from_euler("X", many).as_quat())
    assert Rotation.from_euler("y", jnp.array([0.5])).single


def test_forms() -> None:
    same(OURS.as_matrix(), THEIRS.as_matrix())
    same(OURS.as_rotvec(), THEIRS.as_rotvec())
    same(OURS.as_rotvec(degrees=True), THEIRS.as_rotvec(degrees=True))
    same(OURS.as_mrp(), THEIRS.as_mrp())
    same(OURS.as_quat(), THEIRS.as_quat())
    same(OURS.as_quat(canonical=True, scalar_first=True), THEIRS.as_quat(canonical=True, scalar_first=True))
    same(OURS.magnitude(), THEIRS.magnitude())
    same(OURS.inv().as_matrix(), THEIRS.inv().as_matrix())
    matrices = THEIRS.as_matrix()
    halves = np.array([np.diag(np.sign(d)) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1])])
    for m in (matrices, matrices.reshape(2, 3, 3, 3), matrices[0], halves):
        same(Rotation.from_matrix(m).as_matrix(), m)
    small = [scale * QUATS[:2, :3] for scale in (0, 1e-9, 1e-3, 5)]
    vectors = np.vstack([THEIRS.as_rotvec(), *small])
    same(Rotation.from_rotvec(vectors).as_matrix(), reference.Rotation.from_rotvec(vectors).as_matrix())
    same(Rotation.from_rotvec(vectors[:-2]).as_rotvec(), vectors[:-2], 1e-14)
    same(Rotation.from_rotvec(vectors, degrees=True).magnitude(),
         reference.Rotation.from_rotvec(vectors, degrees=True).magnitude())  # fmt: skip
    same(Rotation.from_mrp(THEIRS.as_mrp()).as_matrix(), matrices)
    same(Rotation.from_quat(np.roll(QUATS, 1, -1), scalar_first=True).as_matrix(), matrices)


def test_composition() -> None:
    other = RNG.normal(size=(6, 4))
    both = (OURS * Rotation.from_quat(other)).as_matrix()
    same(both, (THEIRS * reference.Rotation.from_quat(other)).as_matrix())
    with_one = (OURS * Rotation.from_quat(other[0])).as_matrix()
    same(with_one, (THEIRS * reference.Rotation.from_quat(other[0])).as_matrix())
    vectors = RNG.normal(size=(6, 3))
    for inverse in (False, True):
        same(OURS.apply(vectors, inverse), THEIRS.apply(vectors, inverse))
        same(OURS.apply(vectors[0], inverse), THEIRS.apply(vectors[0], inverse))
        same(OURS[0].apply(vectors, inverse), THEIRS[0].apply(vectors, inverse))
    for weights in (None, np.arange(1.0, 7)):
        mean = OURS.mean(weights).as_matrix()
        same(mean, THEIRS.mean(weights).as_matrix(), 1e-10)
    joined = Rotation.concatenate([OURS[:2], OURS[5]])
    assert len(joined) == 3
    same(joined[2].as_matrix(), THEIRS[5].as_matrix())


def test_made_anew() -> None:
    same(Rotation.identity().as_matrix(), np.eye(3))
    assert Rotation.identity(4, dtype="float64").quat.shape == (4, 4)
    drawn = Rotation.random(nrx.random.key(0), 4000)
    same(np.linalg.norm(drawn.quat, axis=-1), np.ones(4000), 1e-6)
    # Of an even distribution the matrices have mean 0 and entries of variance 1/3.
    matrices = np.asarray(drawn.as_matrix())
    np.testing.assert_allclose(matrices.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(matrices.var(0), 1 / 3, atol=0.03)
    assert Rotation.random(nrx.random.key(0)).single


def test_slerp() -> None:
    times, at = np.array([0.0, 1.0, 3.0, 3.5, 5, 6]), np.array([0.0, 0.4, 1, 2.9, 5.99, 6])
    ours, theirs = Slerp(times, OURS), reference.Slerp(times, THEIRS)
    same(nrx.jit(lambda s, t: s(t))(ours, at).as_matrix(), theirs(at).as_matrix(), 1e-11)
    same(Slerp.init(times, OURS)(2.0).as_matrix(), theirs(2.0).as_matrix(), 1e-11)
    assert ours(2.0).single


def test_rotations_are_transformed() -> None:
    vectors = RNG.normal(size=(4, 3))
    turned = nrx.vmap(lambda q, v: Rotation.from_quat(q).apply(v), in_axes=(0, None))(QUATS, vectors[0])
    same(turned, THEIRS.apply(vectors[0]))
    same(nrx.jit(lambda r: r.inv())(OURS).as_matrix(), THEIRS.inv().as_matrix())
    check_grads(lambda v: Rotation.from_rotvec(v).as_matrix(), (vectors,), order=2)
    check_grads(lambda v: Rotation.from_rotvec(v).as_matrix(), (np.zeros(3),), order=2)
    check_grads(lambda q: Rotation.from_quat(q).as_rotvec(), (QUATS,), order=2)
    check_grads(lambda q: Rotation.from_quat(q).as_rotvec(), (np.array([1e-5, 0, 0, 1]),), order=1)
    check_grads(lambda q: Rotation.from_quat(q).as_euler("xyz"), (QUATS,), order=2)
    check_grads(lambda q: Rotation.from_quat(q).as_euler("xyz"), (np.array([0.0, 0, 0, 1]),), order=2)
    check_grads(lambda m: Rotation.from_matrix(m).as_mrp(), (THEIRS.as_matrix(),), order=1)
    check_grads(
        lambda q, t: Slerp(np.arange(6.0), Rotation.from_quat(q))(t).as_quat(), (QUATS, np.float64(2.3)), order=1
    )
    assert Rotation.from_rotvec(jnp.ones(3)).as_matrix().dtype == jnp.float32


def test_mistakes_of_rotations() -> None:
    for seq in ("", "xyzx", "xx", "xY", "abc"):
        with pytest.raises(ArgumentError, match="sequence of axes"):
            Rotation.from_euler(seq, np.ones(3))
    with pytest.raises(ArgumentError, match="sequence of axes"):
        OURS.as_euler("xy")
    with pytest.raises(ShapeError, match="for 2 axes"):
        Rotation.from_euler("xy", np.ones(3))
    for name, wrong in (("quat", (3,)), ("matrix", (3, 4)), ("mrp", (4,)), ("rotvec", ())):
        with pytest.raises(ShapeError, match=f"from_{name} takes an array of shape"):
            getattr(Rotation, f"from_{name}")(np.ones(wrong))
    with pytest.raises(ArgumentTypeError, match="single rotation"):
        OURS[0][0]
    with pytest.raises(ArgumentTypeError, match="no length"):
        len(OURS[0])
    assert OURS[0]
    with pytest.raises(ShapeError, match="weights"):
        OURS.mean(np.ones(3))
    with pytest.raises(ArgumentTypeError, match="must be a Rotation"):
        Slerp(np.arange(3), QUATS)
    with pytest.raises(ArgumentError, match="strictly increasing"):
        Slerp(np.array([0.0, 2, 1, 3, 4, 5]), OURS)
    with pytest.raises(ArgumentError, match="sequence of axes"):
        Rotation.from_euler(3, np.ones(3))  # type: ignore[arg-type]
    for name, shape in (("quat", (4,)), ("matrix", (3, 3)), ("mrp", (3,)), ("rotvec", (3,))):
        with pytest.raises(DTypeError, match=f"from_{name} takes real numbers"):
            getattr(Rotation, f"from_{name}")(np.ones(shape) * 1j)
    with pytest.raises(ArgumentTypeError, match="sequence of Rotations"):
        Rotation.concatenate([OURS, QUATS])
    with pytest.raises(TypeError, match="unsupported operand"):
        OURS * 3
    for times, rotations in ((np.arange(3), OURS), (np.arange(1), OURS[:1]), (np.ones((6, 1)), OURS), (0.0, OURS[0])):
        with pytest.raises(ShapeError, match="Slerp: times"):
            Slerp(times, rotations)
    with pytest.raises(ShapeError, match="scalar or a vector"):
        Slerp(np.arange(6), OURS)(np.ones((2, 2)))
