"""Arrays from and to files and text, in NumPy's formats, and how arrays are printed."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nrx.core.array import Array, wrap
from nrx.core.dtypes import canonical_dtype
from nrx.numpy.data import asarray
from nrx.ops.common import as_arrays

get_printoptions, set_printoptions, printoptions = np.get_printoptions, np.set_printoptions, np.printoptions
iterable = np.iterable


def save(file: Any, arr: Any, allow_pickle: bool = False) -> None:
    """Write an array to a file in NumPy's format `.npy`; bfloat16 and fp8 are written as bytes without a name.

    Args:
        file: a path or an open file.
        arr: an array.
        allow_pickle: without effect: arrays hold no objects.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.save(file, jnp.arange(3))
    >>> _ = file.seek(0)
    >>> jnp.load(file)
    Array([0, 1, 2], dtype=int32)
    """
    np.save(file, np.asarray(as_arrays("save", arr)[0]), allow_pickle=False)


def savez(file: Any, *args: Any, **kwds: Any) -> None:
    """Write several arrays to a file in NumPy's format `.npz`.

    Args:
        file: a path or an open file.
        args: arrays, which are named arr_0, arr_1, …
        kwds: arrays by name.

    Shapes and dtypes are kept, as `save` keeps them.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.savez(file, x=jnp.arange(3))
    >>> _ = file.seek(0)
    >>> jnp.load(file)["x"]
    Array([0, 1, 2], dtype=int32)
    """
    named: Any = {name: np.asarray(as_arrays("savez", x)[0]) for name, x in kwds.items()}
    np.savez(file, *(np.asarray(x) for x in as_arrays("savez", *args)), **named)


def load(file: Any, mmap_mode: None = None, allow_pickle: bool = False) -> Any:
    """Read what `save` or `savez` wrote, or NumPy.

    Args:
        file: a path or an open file.
        mmap_mode: without effect: data are copied.
        allow_pickle: without effect: pickled objects are refused.

    Returns:
        An array in the dtype in which it was saved, or a dict of such arrays by name.

    Raises:
        OSError, ValueError: NumPy's, for files that are not there or not of its formats.

    >>> import io
    >>> file = io.BytesIO()
    >>> jnp.save(file, jnp.ones(2))
    >>> _ = file.seek(0)
    >>> jnp.load(file)
    Array([1., 1.], dtype=float32)
    """
    found = np.load(file, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return asarray(found)
    with found:
        return {name: asarray(found[name]) for name in found.files}


def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0) -> Array:
    """The numbers in a file of bytes, or of text.

    Args:
        file: a path or an open file.
        dtype: the dtype of the numbers.
        count: how many to read; -1 means all.
        sep: what separates the numbers of a text; "" means bytes.
        offset: the bytes to skip.

    Returns:
        An array of one axis, of that dtype.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers"
    >>> _ = path.write_text("1 2 3")
    >>> jnp.fromfile(path, int, sep=" ")
    Array([1, 2, 3], dtype=int32)
    """
    return wrap(np.fromfile(file, canonical_dtype(dtype), count, sep, offset=offset))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """The numbers in a text.

    Args:
        string: the text.
        dtype: the dtype of the numbers.
        count: how many to read; -1 means all.
        sep: what separates them.

    Returns:
        An array of one axis, of that dtype.

    >>> jnp.fromstring("1 2 3", int, sep=" ")
    Array([1, 2, 3], dtype=int32)
    """
    return wrap(np.fromstring(string, canonical_dtype(dtype), count, sep=sep))


def fromiter(iter: Iterable, dtype: Any, count: int = -1) -> Array:
    """The numbers that an iterator gives.

    Args:
        iter: an iterable of numbers.
        dtype: the dtype of the array.
        count: how many to take; -1 means all.

    Returns:
        An array of one axis, of that dtype.

    >>> jnp.fromiter((k * k for k in range(4)), int)
    Array([0, 1, 4, 9], dtype=int32)
    """
    return wrap(np.fromiter(iter, canonical_dtype(dtype), count))


def array_repr(
    arr: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: bool | None = None
) -> str:
    """The array as `repr` prints it; known arrays follow the options given.

    Args:
        arr: an array.
        max_line_width: the most characters of a line.
        precision: the digits after the point.
        suppress_small: whether small numbers are printed as 0.

    Returns:
        A string, with the dtype.

    >>> jnp.array_repr(jnp.ones(2))
    'Array([1., 1.], dtype=float32)'
    """
    return _printed(repr, arr, max_line_width, precision, suppress_small)


def array_str(
    a: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: bool | None = None
) -> str:
    """The array as `str` prints it; known arrays follow the options given.

    Args:
        a: an array.
        max_line_width: the most characters of a line.
        precision: the digits after the point.
        suppress_small: whether small numbers are printed as 0.

    Returns:
        A string, without the dtype.

    >>> jnp.array_str(jnp.array([1.0, 2.5]))
    '[1.  2.5]'
    """
    return _printed(str, a, max_line_width, precision, suppress_small)


def _printed(show: Callable, a: Any, width: int | None, precision: int | None, suppress: bool | None) -> str:
    options: Any = {"linewidth": width, "precision": precision, "suppress": suppress}
    with np.printoptions(**{name: value for name, value in options.items() if value is not None}):
        return show(as_arrays("array_repr", a)[0])
