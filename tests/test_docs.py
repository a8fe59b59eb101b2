"""The code in README, docs and docstrings runs, and prints what it says."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import nrx
from nrx.core.primitive import registry

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
_OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _names() -> dict:
    return {"nrx": nrx, "jnp": nrx.numpy, "__name__": "__main__"}


def _modules() -> list[str]:
    return sorted(m.name for m in pkgutil.walk_packages(nrx.__path__, "nrx."))


@pytest.fixture(autouse=True)
def own_primitives():
    """Primitives that a page defines go with it."""
    known = set(registry)
    yield
    for name in set(registry) - known:
        del registry[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path) -> None:
    """The Python blocks of a page run one after the other, in one namespace."""
    names = _names()
    runner = doctest.DocTestRunner(optionflags=_OPTIONS)
    for number, block in enumerate(_BLOCK.findall(page.read_text()), 1):
        where = f"{page.name}, block {number}"
        if block.lstrip().startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(block, names, where, str(page), 0)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
        else:
            exec(compile(block, where, "exec"), names)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("module", _modules())
def test_docstrings(module: str) -> None:
    """The examples in a module's docstrings are right."""
    found = importlib.import_module(module)
    results = doctest.testmod(found, extraglobs=_names(), optionflags=_OPTIONS)
    assert results.failed == 0


def test_links() -> None:
    """Links between pages lead somewhere."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
