"""Every public function says what it does, what its arguments are and what it raises, and shows how it is called.

tests/test_docs.py runs the examples.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from test_names_left_out import MODULES

import nrx
import nrx.numpy as jnp
from nrx import Array

PUBLIC = sorted({"nrx" + name.removeprefix("jax") for name in MODULES} | {f"nrx.{name}" for name in nrx._LAZY})
#: What stands for arguments that a function only takes because others like it do.
UNNAMED = {"_", "__", "args", "kwargs", "params", "accuracy", "out_sharding", "sharding", "_split_transpose"}
#: Words that tell shapes and dtypes of what comes out.
SHAPES = re.compile(r"shape|elementwise|\bax[ei]s|scalar|\blength|matri|vector|pairs? of|string|tree", re.I)
DTYPES = re.compile(r"dtype|precision|\breal\b|float|integer|complex|boolean|\bu?int|\bbool\b|string|tree", re.I)
#: How a docstring leaves its result to another's.
REFERRED = re.compile(r"result\b[^.]* (?:as of|as for|of) `(?:\w+\.)*(\w+)`")
#: Operands of a function of single elements; its first line says what it makes of them.
OPERANDS = set("abmnqvxyz")


def own_names(found: Any) -> list[str]:
    """What a module lists, or else what it defines; the methods of an object."""
    if not isinstance(found, ModuleType):
        return [name for name in dir(found) if callable(getattr(found, name))]
    listed = getattr(found, "__all__", None)
    return listed or [n for n, v in vars(found).items() if getattr(v, "__module__", None) == found.__name__]


def functions() -> dict[str, Any]:
    """The public functions, by the first path that leads to each."""
    seen: dict[int, tuple[str, Any]] = {}
    for place in PUBLIC:
        found = importlib.import_module(place)
        for name in own_names(found):
            value = getattr(found, name)
            value = value.func if isinstance(value, partial) else value
            if not name.startswith("_") and (inspect.isroutine(value) or hasattr(value, "__wrapped__")):
                seen.setdefault(id(value), (f"{place}.{name}", value))
    return dict(seen.values())


FUNCTIONS = functions()
#: Which differ from NumPy's (SciPy's) in their own way, so that docs/differences.md names them.
DIFFERENT = """
nrx.numpy: argpartition array asarray divmod exp2 expm1 fill_diagonal floor_divide histogram nanargmax nanargmin
nrx.numpy: nonzero partition place poly polymul put put_along_axis tanh vectorize
nrx.numpy.fft: fft
nrx.numpy.linalg: cholesky eig inv matrix_rank solve
nrx.scipy.fft: dct
nrx.scipy.signal: csd istft
"""
TEXTS: dict[str, str] = {}
for function in FUNCTIONS.values():
    text = (inspect.getdoc(function) or "").partition(">>>")[0]
    TEXTS[function.__name__] = TEXTS.get(function.__name__, "") + text


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def covered(text: str) -> set[str]:
    """The names that a docstring explains, by itself or by the functions whose arguments it says it has."""
    names = mentioned(text.partition(">>>")[0])
    if "elementwise" in text.split("\n\n")[0]:
        names |= OPERANDS
    for other in re.findall(r"`(?:\w+\.)*(\w+)`", text):
        names |= mentioned(TEXTS.get(other, ""))
    return names


def with_referred(text: str) -> str:
    """A docstring and those to which it leaves the result ("arguments, result and errors as of `f`")."""
    return text + "".join(TEXTS.get(other, "") for other in REFERRED.findall(text))


def faults(value: Any) -> Iterator[str]:
    text = inspect.getdoc(value) or ""
    first = text.partition("\n\n")[0]
    if not re.search(r"[.?!:…]$", first) or "\n" in first:
        yield "the first paragraph must be one line, a sentence"
    if ">>>" not in text:
        yield "there is no example"
    unknown = set(inspect.signature(value).parameters) - covered(text) - UNNAMED
    if unknown:
        yield f"it does not say what {sorted(unknown)} are"
    if "Array" in str(inspect.signature(value).return_annotation):
        told = with_referred(text.partition(">>>")[0])
        if not SHAPES.search(told):
            yield "it does not say of which shape the result is"
        if not DTYPES.search(told):
            yield "it does not say of which dtype the result is"
    raises = set(re.findall(r"^    (?: {4})*raise (\w+Error)\(", inspect.getsource(inspect.unwrap(value)), re.M))
    if raises and not re.search(r"[Ee]rror|Raises|must", text):
        yield f"it does not say when it raises {sorted(raises)}"


def test_functions_are_found() -> None:
    assert len(FUNCTIONS) > 1000
    assert {"nrx.grad", "nrx.numpy.sum", "nrx.lax.sin", "nrx.scipy.stats.norm.pdf", "nrx.optim.adam"} <= set(FUNCTIONS)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_docstring(path: str) -> None:
    assert list(faults(FUNCTIONS[path])) == []


@pytest.mark.parametrize("line", DIFFERENT.strip().splitlines())
def test_what_differs_from_numpy_is_told(line: str) -> None:
    module, _, names = line.partition(": ")
    peer = "SciPy" if "scipy" in module else "NumPy"
    assert [n for n in names.split() if peer not in (inspect.getdoc(FUNCTIONS[f"{module}.{n}"]) or "")] == []


def test_faults_are_found() -> None:
    def bad(x: Any, axis: int) -> None:
        """Two lines
        at once."""
        raise ValueError(x)

    def good(x: Any, axis: int) -> None:
        """The sum of `x` along `axis`.

        Raises:
            ValueError: always.

        >>> good(1, 2)
        """
        raise ValueError(x)

    def untold(x: Any) -> Array:
        """What one gets from `x`.

        >>> untold(1)
        """
        return jnp.asarray(x)

    assert len(list(faults(bad))) == 4
    assert len(list(faults(untold))) == 2
    assert list(faults(good)) == []
