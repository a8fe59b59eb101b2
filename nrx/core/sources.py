"""The files that this package was imported from, so that what one version of them made is not taken for another's."""

import os
import time

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_IMPORTED = time.time_ns() - 20_000_000  # the clock of files lags behind by some milliseconds


def version() -> str | None:
    """What tells these files from any others; None if there are none, or if some have changed since the import.

    No file changes without leaving a trace in its times, sizes and numbers.
    """
    files = []
    for folder, _, names in os.walk(_PACKAGE):
        for name in names:
            if name.endswith(".py"):
                information = os.stat(path := os.path.join(folder, name))
                if information.st_ctime_ns >= _IMPORTED:
                    return None
                times = information.st_mtime_ns, information.st_ctime_ns
                files.append((path, information.st_size, information.st_ino, *times))
    return repr(sorted(files)) if files else None
