"""Tests share compiled code between processes and runs, in a folder of their own, and can be interrupted."""

import os
import signal
import tempfile
from pathlib import Path

os.environ.setdefault("NRX_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"nrx-tests-{os.getuid()}"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
