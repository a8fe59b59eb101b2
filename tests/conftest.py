"""Tests share compiled code between processes and runs, in a folder of their own."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("NRX_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"nrx-tests-{os.getuid()}"))
