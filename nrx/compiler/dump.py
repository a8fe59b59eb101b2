"""`NRX_DUMP=directory`: every pass writes its result there, one folder a compiled program."""

import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path

from nrx.compiler.loop_text import kernel_text
from nrx.core.errors import ConfigError
from nrx.core.loops import Kernel

_numbers = itertools.count()


class Dump:
    """Writes the results of the passes over one program, if the environment asks for it."""

    def __init__(self, name: str):
        directory = os.environ.get("NRX_DUMP")
        self.folder: Path | None = None
        self._step = 0
        if directory:
            plain = re.sub(r"\W+", "_", name).strip("_") or "program"
            self.folder = Path(directory) / f"{os.getpid()}-{next(_numbers):04d}-{plain}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"NRX_DUMP={directory}: {error}", fix="name a folder that can be written to"
                ) from None

    def write(self, name: str, text: Callable[[], str]) -> None:
        """Write the result of a pass."""
        if self.folder is not None:
            (self.folder / f"{self._step:02d}-{name.replace(' ', '-')}.txt").write_text(text() + "\n")
            self._step += 1

    def write_kernel(self, name: str, kernel: Kernel) -> None:
        """Write the loop IR of a kernel."""
        self.write(name, lambda: kernel_text(kernel))
