"""Runs the benchmarks: `python -m benchmarks [--list] [NAME ...]`, all of them when none is named.

`cpu` and `surface` have options of their own, and run alone with them: `python -m benchmarks cpu --help`.
"""

import argparse
import importlib
import sys
from pathlib import Path

WITH_OPTIONS = ("cpu", "surface")


def available() -> list[str]:
    """The names of all benchmarks: that of `bench_matmul.py` is `matmul`."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in WITH_OPTIONS:
        importlib.import_module(f"benchmarks.bench_{sys.argv[1]}").main(sys.argv[2:])
        return
    names = available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks of nrx.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names) or 'none yet'}")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and run none")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in options.names or names:
        print(name if options.list else f"== {name} ==", flush=True)
        if not options.list:
            importlib.import_module(f"benchmarks.bench_{name}").main()


if __name__ == "__main__":
    main()
