"""The libraries that take part, and what the environment of their processes is."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_EVERYTHING = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


class Peer(NamedTuple):
    """A library, or one way to use it.

    Fields:
        title: its name in the report.
        package: what has to be installed.
        cache: the variable that names its cache on disk.
        settings: what its cache needs besides.
    """

    title: str
    package: str
    cache: str | None = None
    settings: Mapping[str, str] = {}


PEERS = {
    "nrx": Peer("nrx", "nrx", "NRX_CACHE_DIR"),
    "jax": Peer("JAX", "jax", "JAX_COMPILATION_CACHE_DIR", _EVERYTHING),
    "torch": Peer("PyTorch eager", "torch"),
    "torch.compile": Peer("torch.compile", "torch", "TORCHINDUCTOR_CACHE_DIR"),
}


def installed() -> list[str]:
    """The peers whose packages are there."""
    return [name for name, peer in PEERS.items() if find_spec(peer.package)]


def environment(name: str, threads: int, cache: Path | None, x64: bool = False) -> dict[str, str]:
    """The environment of a process.

    Args:
        name: a key of `PEERS`.
        threads: how many threads it may compute with.
        cache: the folder of its cache on disk; None leaves JAX's off, as it is by default.
        x64: whether JAX runs with 64-bit types.

    Returns:
        All variables. The number of processors JAX follows, the rest follows variables.
    """
    peer = PEERS[name]
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NRX_NUM_THREADS")
    variables = {**os.environ, **dict.fromkeys(counts, str(threads))}
    variables |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": str(int(x64))}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling the sources is part of an installation
    if peer.cache is not None and cache is not None:
        variables |= {peer.cache: str(cache), **peer.settings}
    return variables
