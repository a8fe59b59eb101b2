"""Tests share compiled code between processes and runs, can be interrupted, and draw numbers of their own."""

import os
import signal
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("NRX_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"nrx-tests-{os.getuid()}"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_numbers(request: pytest.FixtureRequest) -> None:
    """A module's `RNG` begins each test anew, so that no test depends on which ones ran before it."""
    rng = getattr(request.module, "RNG", None)
    if rng is not None:
        rng.bit_generator.state = np.random.default_rng(zlib.crc32(request.node.name.encode())).bit_generator.state
