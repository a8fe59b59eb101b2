"""What `import nrx` costs beyond `import numpy`: in fresh interpreters by turns, the fastest of each.

Bytecode is written to a temporary folder first, as an installation does; compiling the sources is not counted.
"""

import os
import subprocess
import sys
import tempfile

ROUNDS = 25
BUDGET = 0.050
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
STATEMENTS = ("import numpy", "import numpy, nrx")


def seconds(statement: str, environment: dict[str, str]) -> float:
    """The time that a statement takes in a fresh interpreter."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    return float(subprocess.run(command, check=True, env=environment, capture_output=True).stdout)


def main() -> None:
    """Print both minima and their difference, and fail if it is above the budget."""
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rounds = [[seconds(statement, environment) for statement in STATEMENTS] for _ in range(ROUNDS)]
    numpy_alone, with_nrx = map(min, zip(*rounds, strict=True))
    difference = with_nrx - numpy_alone
    print(f"numpy {numpy_alone * 1e3:.1f} ms, numpy and nrx {with_nrx * 1e3:.1f} ms: nrx {difference * 1e3:.1f} ms")
    if difference > BUDGET:
        raise SystemExit(f"above the budget of {BUDGET * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
