"""What a report of a fault should say about the machine."""

import importlib.metadata
import platform
import sys

from nrx.backends.placement import devices
from nrx.core.threads import get_num_threads
from nrx.version import __version__

_PACKAGES = ("numpy", "llvmlite", "ml_dtypes", "cupy", "jax")


def print_environment_info(return_string: bool = False) -> str | None:
    """Versions, devices and threads, for a report of a fault.

    Args:
        return_string: return the text instead of printing it.

    Returns:
        The text, or None.

    >>> import nrx
    >>> nrx.print_environment_info(return_string=True).splitlines()[0]
    'nrx: 0.1.0'
    """
    lines = [f"nrx: {__version__}"]
    for name in _PACKAGES:
        try:
            lines.append(f"{name}: {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    lines += [
        f"python: {sys.version}",
        f"devices: {devices()}, threads: {get_num_threads()}",
        f"platform: {platform.platform()}",
    ]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None
