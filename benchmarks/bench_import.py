"""How long `import nrx` takes beyond `import numpy`, in fresh interpreters.

They run by turns, and each statement counts with its fastest run, so that a busy machine slows them alike.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

RUNS = 15
ALLOWED_MS = 50

_CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
_ROOT = Path(__file__).parent.parent


def seconds(statement: str) -> float:
    """How long a statement takes in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(statement)], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    return float(run.stdout)


def main() -> None:
    statements = ["import numpy", "import numpy, ml_dtypes", "import nrx", "import nrx, nrx.nn, nrx.optim, nrx.data"]
    if find_spec("jax"):
        statements.append("import jax")
    best = dict.fromkeys(statements, float("inf"))
    for _ in range(RUNS):
        for statement in statements:
            best[statement] = min(best[statement], seconds(statement))
    for statement, time in best.items():
        print(f"{statement:42} {time * 1e3:7.1f} ms")
    beyond = (best["import nrx"] - best["import numpy"]) * 1e3
    print(f"nrx beyond numpy: {beyond:.1f} ms, {ALLOWED_MS} are allowed")


if __name__ == "__main__":
    main()
