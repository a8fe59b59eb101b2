"""Dtypes and promotion: the lattice's laws, JAX's table, the defaults, and what cannot be promoted."""

import itertools

import ml_dtypes
import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core import dtypes
from nrx.core.errors import ConfigError, DTypeError

NORMAL = [d for d in dtypes.ALL if d not in dtypes.FP8]
TYPES = [(d, False) for d in NORMAL] + [(dtypes.int32, True), (dtypes.float32, True), (dtypes.complex64, True)]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(TYPES, TYPES)))
def test_promotion_commutes(a, b):
    assert dtypes.promote_types(a, b) == dtypes.promote_types(b, a)
    assert dtypes.promote_types(a, a) == a


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations_with_replacement(NORMAL, 2)))
def test_promotion_is_jaxs(a, b):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        assert dtypes.promote(a, b) == jax.numpy.promote_types(a, b)


@pytest.mark.parametrize("scalar", [1, 1.5, 2j])
@pytest.mark.parametrize("dtype", [d for d in NORMAL if dtypes.real_part_dtype(d).itemsize < 8], ids=str)
def test_scalars_promote_as_in_jax(dtype, scalar):
    """Against JAX in its 32-bit mode, whose scalars have the default dtypes that ours have."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(False):
        expected = jax.numpy.add(jax.numpy.zeros(2, dtype), scalar)
    got = jnp.add(jnp.zeros(2, dtype), scalar)
    assert (got.dtype, got.weak_type) == (expected.dtype, expected.weak_type)


def test_integer_meets_float():
    assert dtypes.promote(dtypes.int32, dtypes.float32) == np.float32
    assert dtypes.promote(dtypes.int64, dtypes.float16) == np.float16
    assert dtypes.promote(dtypes.int64, dtypes.uint64) == np.float64
    assert dtypes.promote(dtypes.bfloat16, dtypes.float16) == np.float32


def test_fp8_does_not_promote_silently():
    with pytest.raises(DTypeError, match=r"no common dtype[\s\S]*astype"):
        dtypes.promote(dtypes.FP8[0], dtypes.FP8[1])
    with pytest.raises(DTypeError):
        dtypes.promote(dtypes.FP8[0], dtypes.float32)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_arrays_keep_their_dtype(dtype):
    data = np.zeros(3, dtype)
    assert jnp.array(data).dtype == dtype
    assert np.asarray(jnp.array(data)).dtype == dtype
    assert dtypes.canonical_dtype(dtype.name) == dtype
    assert dtypes.canonical_dtype(dtype.type) == dtype


def test_other_byte_orders_and_unsupported():
    assert jnp.array(np.arange(3, dtype=">i4")).tolist() == [0, 1, 2]
    for data in (np.array(["a"]), np.array([None]), np.array(["2020"], "M8[D]"), np.zeros(1, np.longdouble)):
        with pytest.raises(DTypeError, match="not supported"):
            jnp.array(data)


def test_creation_defaults():
    assert (jnp.zeros(1).dtype, jnp.arange(2).dtype, jnp.array(1.5).dtype, jnp.array(1j).dtype) == (
        np.float32, np.int32, np.float32, np.complex64,
    )  # fmt: skip
    with nrx.config.using(default_float="float64", default_int="int64"):
        assert (jnp.zeros(1).dtype, jnp.arange(2).dtype, jnp.array(1j).dtype) == (np.float64, np.int64, np.complex128)
        assert jnp.array(np.float32(1)).dtype == np.float32
    assert jnp.array(2**40).dtype == np.int64
    with pytest.raises(ConfigError, match="default_float"):
        nrx.config.update("default_float", "int32")
    with pytest.raises(ConfigError, match="no setting"):
        nrx.config.update("colour", "red")


def test_limits():
    assert jnp.finfo("bfloat16").eps == ml_dtypes.finfo("bfloat16").eps
    assert jnp.iinfo("int8").max == 127
    with pytest.raises(DTypeError):
        jnp.finfo("int32")
    with pytest.raises(DTypeError):
        jnp.iinfo("float32")
