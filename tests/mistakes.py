"""Mistakes that users make, and what the error must tell them.

A mistake is a function that fails at the line marked `# here`. The error must be of one class, which is also the
built-in exception that NumPy or JAX programs catch; say what is wrong; name that line; and give the way out.
"""

import inspect
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from nrx.core.errors import NrxError


@dataclass(frozen=True)
class Mistake:
    """A function that fails, and its error: class, built-in base, words of the message (patterns) and of the fix."""

    function: Callable[[], Any]
    error: type[NrxError]
    builtin: type[Exception]
    words: Sequence[str]
    fix: str

    def line(self) -> int | None:
        """The number of the marked line."""
        lines, first = inspect.getsourcelines(self.function)
        marked = [first + i for i, line in enumerate(lines) if line.rstrip().endswith("# here")]
        assert len(marked) <= 1
        return marked[0] if marked else None


class Table:
    """The mistakes of one file; `@table(...)` enters one, `table.parametrize()` runs a test over all."""

    def __init__(self) -> None:
        self.entries: list[Mistake] = []

    def __call__(self, error: type[NrxError], builtin: type[Exception], *words: str, fix: str) -> Callable:
        def enter(function: Callable) -> Callable:
            self.entries.append(Mistake(function, error, builtin, words, fix))
            return function

        return enter

    def parametrize(self) -> Any:
        return pytest.mark.parametrize("mistake", self.entries, ids=[m.function.__name__ for m in self.entries])


def check(mistake: Mistake) -> None:
    """Run a mistake and check all of its error."""
    with pytest.raises(NrxError) as caught:
        mistake.function()
    error = caught.value
    assert type(error) is mistake.error, f"{type(error).__name__}: {error}"
    assert isinstance(error, mistake.builtin)
    for words in mistake.words:
        assert re.search(words, error.message), f"{words!r} is not in the message:\n{error}"
    assert error.fix, f"no way out is given:\n{error}"
    assert re.search(mistake.fix, error.fix), f"{mistake.fix!r} is not in the fix:\n{error}"
    check_source(error, mistake.function, mistake.line())
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def check_source(error: NrxError, function: Callable, line: int | None) -> None:
    """The error must name the file, a function inside `function`, and the line; and print it."""
    source = error.source
    assert source is not None
    assert source.file == function.__code__.co_filename, f"the line is in another file:\n{error}"
    assert source.function.startswith(function.__qualname__), f"the line is in another function:\n{error}"
    if line is not None:
        assert source.line == line, f"line {line} is to blame:\n{error}"
    text = str(error)
    assert text.startswith(error.message)
    assert f"at {source.file}:{source.line}, in {source.function}" in text
    assert source.code
    assert source.code in text
    assert text.endswith(f"fix: {error.fix}") or not error.fix
