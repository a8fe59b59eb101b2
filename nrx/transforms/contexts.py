"""JAX's context managers: settings for a block of code, and what else is said about a block."""

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nrx.core.config import config
from nrx.core.errors import NoEffectWarning, user_source
from nrx.core.trace import Trace, Tracer, bind_now, bind_with, current_trace, new_trace
from nrx.transforms.flatten import check_function

_WORDS = {"float": "float32", "default": "float32", "high": "float32", "highest": "float32"}


def debug_nans(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside the block, a NaN is an error that names the operation and the line that made it.

    Args:
        new_val: whether it is. `config.update("debug_nans", True)` does the same for the whole process.

    Returns:
        A context manager. What a jitted function returns is looked at; if there is a NaN, the function runs again,
        operation by operation, inside loops and branches too.

    >>> import nrx
    >>> with nrx.debug_nans():
    ...     nrx.jit(lambda x: nrx.numpy.log(x) * 2)(-1.0)
    Traceback (most recent call last):
        ...
    nrx.core.errors.NonFiniteError: log gave nan
      at ..., in <lambda>
      ...
    """
    return config.using(debug_nans=new_val)


def debug_infs(new_val: bool = True) -> AbstractContextManager[None]:
    """`debug_nans` for infinities.

    Args:
        new_val: whether an infinity is an error.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.debug_infs(False):
    ...     1 / nrx.numpy.zeros(1)
    Array([inf], dtype=float32)
    """
    return config.using(debug_infs=new_val)


def disable_jit(disable: bool = True) -> AbstractContextManager[None]:
    """Inside the block jitted functions, loops and branches run as ordinary Python, on values that can be printed.

    Args:
        disable: whether they do.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.disable_jit():
    ...     nrx.jit(lambda x: float(x) * 2)(3.0)
    6.0
    """
    return config.using(disable_jit=disable)


def checking_leaks() -> AbstractContextManager[None]:
    """Inside the block, a tracer that outlives the function it was made in is an error as soon as the function ends.

    Returns:
        A context manager. Every tracing looks through all objects, which takes long.

    >>> import nrx
    >>> kept = []
    >>> with nrx.checking_leaks():
    ...     nrx.jit(lambda x: kept.append(x * 2))(1.0)
    Traceback (most recent call last):
        ...
    nrx.core.errors.LeakedTracerError: ...
    """
    return config.using(check_tracer_leaks=True)


def check_tracer_leaks(new_val: bool = True) -> AbstractContextManager[None]:
    """`checking_leaks`, or the opposite.

    Args:
        new_val: whether a tracer that outlives its function is an error.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.check_tracer_leaks(False):
    ...     nrx.jit(lambda x: x * 2)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    return config.using(check_tracer_leaks=new_val)


def enable_checks(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside the block, every Program and every eager result is checked for its type.

    Args:
        new_val: whether they are.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.enable_checks():
    ...     nrx.jit(lambda x: x * 2)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    return config.using(debug_checks=new_val)


def explain_cache_misses(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside the block, the logger "nrx" tells why each jitted function is traced: which argument differs, and in what.

    Args:
        new_val: whether it does.

    Returns:
        A context manager. `explain_recompile` answers for one call.

    >>> import nrx
    >>> with nrx.explain_cache_misses(False):
    ...     nrx.jit(lambda x: x * 2)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    return config.using(explain_cache_misses=new_val)


def log_compiles(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside the block, the logger "nrx" tells what is traced and compiled, from which line, and how long it takes.

    Args:
        new_val: whether it does.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.log_compiles(False):
    ...     nrx.jit(lambda x: x * 2)(3.0)
    Array(6., dtype=float32, weak_type=True)
    """
    return config.using(log_compiles=new_val)


def enable_x64(new_val: bool = True) -> AbstractContextManager[None]:
    """Inside the block, creation (`zeros(3)`, `arange(3)`, `1.5`) gives 64-bit dtypes, or 32-bit ones.

    Args:
        new_val: 64 bits or 32. 64-bit dtypes that are named always work.

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.enable_x64():
    ...     nrx.numpy.zeros(3).dtype
    dtype('float64')
    """
    bits = 64 if new_val else 32
    return config.using(default_float=f"float{bits}", default_int=f"int{bits}")


def numpy_rank_promotion(new_val: str) -> AbstractContextManager[None]:
    """Inside the block, arrays of different ranks (scalars apart) that meet are broadcast, or not.

    Args:
        new_val: "allow", "warn" or "raise".

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.numpy_rank_promotion("raise"):
    ...     nrx.numpy.ones((2, 3)) + nrx.numpy.ones(3)
    Traceback (most recent call last):
        ...
    nrx.core.errors.ShapeError: shapes (2, 3), (3,) differ in rank, and numpy_rank_promotion is 'raise'
      ...
    """
    return config.using(numpy_rank_promotion=new_val)


def numpy_dtype_promotion(new_val: str) -> AbstractContextManager[None]:
    """Inside the block, arrays of different dtypes (Python numbers apart) that meet are promoted, or not.

    Args:
        new_val: "standard" or "strict".

    Returns:
        A context manager.

    >>> import nrx
    >>> with nrx.numpy_dtype_promotion("strict"):
    ...     nrx.numpy.ones(3) + nrx.numpy.ones(3, "float16")
    Traceback (most recent call last):
        ...
    nrx.core.errors.DTypeError: add: f32[3], f16[3] differ in dtype, and numpy_dtype_promotion is 'strict'
      ...
    """
    return config.using(numpy_dtype_promotion=new_val)


@contextmanager
def default_matmul_precision(new_val: Any = None) -> Iterator[None]:
    """Does nothing: products of matrices always have the precision of their dtype. Less is said to be ignored.

    Args:
        new_val: what JAX takes: None, "highest", "float32", …

    >>> import nrx
    >>> with nrx.default_matmul_precision("highest"):
    ...     nrx.numpy.ones(2) @ nrx.numpy.ones(2)
    Array(2., dtype=float32)
    """
    if new_val is not None and _WORDS.get(str(new_val), str(new_val)) != "float32":
        _ignored(f"default_matmul_precision({new_val!r})", "products are computed with the precision of their dtype")
    yield


@contextmanager
def transfer_guard(new_val: str) -> Iterator[None]:
    """Does nothing: transfers between devices are not watched. "log" and "disallow" are said to be ignored.

    Args:
        new_val: what JAX takes: "allow", "log", "disallow", "log_explicit", "disallow_explicit".

    >>> import nrx
    >>> with nrx.transfer_guard("allow"):
    ...     nrx.numpy.zeros(1)
    Array([0.], dtype=float32)
    """
    if new_val != "allow":
        _ignored(f"transfer_guard({new_val!r})", "transfers are not watched")
    yield


transfer_guard_host_to_device = transfer_guard_device_to_host = transfer_guard_device_to_device = transfer_guard


@contextmanager
def default_prng_impl(new_val: str) -> Iterator[None]:
    """Does nothing: there is one generator, "threefry2x32". Another one is said to be ignored.

    Args:
        new_val: the name of a generator.

    >>> import nrx
    >>> with nrx.default_prng_impl("threefry2x32"):
    ...     nrx.random.PRNGKey(0)
    Array([0, 0], dtype=uint32)
    """
    if new_val != "threefry2x32":
        _ignored(f"default_prng_impl({new_val!r})", "there is one generator, threefry2x32")
    yield


@contextmanager
def threefry_partitionable(new_val: bool = True) -> Iterator[None]:
    """Does nothing: element i of a draw always depends on the key and on i alone. False is said to be ignored.

    Args:
        new_val: whether it does.

    >>> import nrx
    >>> with nrx.threefry_partitionable(True):
    ...     nrx.random.PRNGKey(0)
    Array([0, 0], dtype=uint32)
    """
    if not new_val:
        _ignored(f"threefry_partitionable({new_val!r})", "element i of a draw depends on the key and on i alone")
    yield


def _ignored(what: str, why: str) -> None:
    warnings.warn(f"{what} at {user_source()} has no effect: {why}", NoEffectWarning, stacklevel=4)


@contextmanager
def named_scope(name: str) -> Iterator[None]:
    """A name for the operations in the block, which JAX shows in profiles; equations of nrx name their lines instead.

    Args:
        name: a string.

    >>> import nrx
    >>> with nrx.named_scope("layer"):
    ...     nrx.numpy.ones(1) + 1
    Array([2.], dtype=float32)
    """
    yield


def named_call(fun: Callable, *, name: str | None = None) -> Callable:
    """`fun` under another name, which Programs and messages show.

    Args:
        fun: a function.
        name: its name; by default the one it has.

    Returns:
        A function that does the same.

    >>> import nrx
    >>> nrx.named_call(abs, name="size").__name__
    'size'
    """

    @functools.wraps(check_function("named_call", fun))
    def named(*args: Any, **kwargs: Any) -> Any:
        return fun(*args, **kwargs)

    if name is not None:
        named.__name__ = named.__qualname__ = name
    return named


class _NowTrace(Trace):
    """Evaluates what depends on no traced value, and hands the rest to the enclosing trace."""

    __slots__ = ()

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        if any(isinstance(arg, Tracer) for arg in args):
            return bind_with(self.parent, prim, args, params)
        return bind_now(prim, *args, **params)


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Inside the block, operations on values that are known are computed while tracing, not recorded.

    >>> import nrx
    >>> @nrx.jit
    ... def f(x):
    ...     with nrx.ensure_compile_time_eval():
    ...         n = int(nrx.numpy.sqrt(9.0))  # a number, although f is traced
    ...     return x * n
    >>> f(2)
    Array(6, dtype=int32, weak_type=True)
    """
    with new_trace(_NowTrace(current_trace(), "ensure_compile_time_eval")):
        yield
