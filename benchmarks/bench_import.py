"""How long `import nrx` takes beyond `import numpy`, in fresh interpreters.

They run by turns, and each statement counts with its fastest run: a busy machine slows them alike. Bytecode goes
to a temporary folder in the first turn, as an installation writes it once; compiling the sources does not count.
"""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

RUNS = 15
ALLOWED_MS = 50

_CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
_ROOT = Path(__file__).parent.parent


def seconds(statement: str, environment: dict[str, str]) -> float:
    """How long a statement takes in a fresh interpreter."""
    command = [sys.executable, "-c", _CODE.format(statement)]
    return float(subprocess.run(command, capture_output=True, check=True, cwd=_ROOT, env=environment).stdout)


def main() -> None:
    """Print the fastest runs, and fail if nrx costs more than it is allowed."""
    statements = ["import numpy", "import numpy, ml_dtypes", "import nrx", "import nrx, nrx.nn, nrx.optim, nrx.data"]
    statements += [f"import {peer}" for peer in ("jax", "numpy, optree") if find_spec(peer.split()[-1])]
    best = dict.fromkeys(statements, float("inf"))
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(RUNS):
            for statement in statements:
                best[statement] = min(best[statement], seconds(statement, environment))
    for statement, time in best.items():
        print(f"{statement:42} {time * 1e3:7.1f} ms")
    beyond = (best["import nrx"] - best["import numpy"]) * 1e3
    print(f"nrx beyond numpy: {beyond:.1f} ms, {ALLOWED_MS} are allowed")
    if beyond > ALLOWED_MS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
