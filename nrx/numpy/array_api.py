"""What the array API standard lets programs ask of a namespace."""

from typing import Any

import numpy as np

from nrx.backends import devices
from nrx.core import dtypes
from nrx.core.backend import Device, default_device
from nrx.core.errors import ArgumentError
from nrx.numpy.scalar_types import isdtype


class __array_namespace_info__:  # noqa: N801  the standard's name
    """Capabilities, devices and dtypes of `nrx.numpy`.

    >>> info = jnp.__array_namespace_info__()
    >>> info.capabilities()["data-dependent shapes"]
    True
    >>> info.default_dtypes()["integral"]
    dtype('int32')
    """

    def capabilities(self) -> dict[str, Any]:
        """Whether masks index, whether shapes may depend on values (not under jit), and the most axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The device where arrays are made."""
        return default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes that creation gives."""
        kinds = {"real floating": float, "complex floating": complex, "integral": int, "indexing": int}
        return {name: dtypes.scalar_dtype(kind) for name, kind in kinds.items()}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name, those of a kind (a name or a tuple of names, as for `isdtype`)."""
        standard = (dtypes.bool_, *dtypes.INTEGERS, dtypes.float32, dtypes.float64, *dtypes.COMPLEX)
        kinds = {"bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating"}
        asked = kind if isinstance(kind, tuple) else (kind,)
        if kind is not None and not set(asked) <= kinds | {"numeric"}:
            raise ArgumentError(f"dtypes: unknown kind {kind!r}", fix=f"use some of {', '.join(sorted(kinds))}")
        return {d.name: d for d in standard if kind is None or isdtype(d, kind)}

    def devices(self) -> list[Device]:
        """The devices that arrays can be put on."""
        return devices()
