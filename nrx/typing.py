"""Names for annotations, as in `jax.typing`.

>>> import nrx
>>> def norm(x: nrx.typing.ArrayLike) -> nrx.Array:
...     return nrx.numpy.sqrt(nrx.numpy.sum(x * x))
"""

from typing import Any, Protocol

import numpy as np

from nrx.core.array import Array

__all__ = ["Array", "ArrayLike", "DTypeLike"]


class _HasDType(Protocol):
    @property
    def dtype(self) -> np.dtype: ...


#: What functions take where they want an array.
ArrayLike = Array | np.ndarray | np.generic | bool | int | float | complex
#: What names a dtype.
DTypeLike = str | type[Any] | np.dtype | _HasDType
