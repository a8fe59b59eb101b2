"""The rules of the repository itself: the bundled data, the size of the code and the layers of the package.

Each rule is a small function that is applied twice: to the repository, where it must not find an offence, and to bad
examples, where it must.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "nrx" / "data" / "datasets"

MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 120

ALL_CODE = ["nrx", "tests", "examples", "benchmarks"]
OPTIONAL_PACKAGES = {"cupy", "cupyx", "llvmlite", "matplotlib", "tqdm"}

# A package imports from the lines above its own, and from itself.
LAYERS = [
    [
        "nrx.core.errors",
        "nrx.core.jax_flags",
        "nrx.core.dtypes",
        "nrx.core.treedef",
        "nrx.core.pytree",
        "nrx.core.config",
    ],
    ["nrx.core", "nrx.errors", "nrx.version"],
    ["nrx.ops", "nrx.compiler"],
    ["nrx.backends", "nrx.transforms"],
    ["nrx.control"],
    ["nrx.lax", "nrx.numpy", "nrx.scipy", "nrx.random", "nrx.tree", "nrx.tree_util", "nrx.flatten_util"],
    ["nrx.nn", "nrx.optim", "nrx.data", "nrx.io", "nrx.onnx", "nrx.export", "nrx.parallel", "nrx.quant"]
    + ["nrx.debug", "nrx.experimental", "nrx.testing", "nrx.ad_checkpoint", "nrx.checkpoint_policies", "nrx.extend"]
    + ["nrx.custom_batching", "nrx.custom_derivatives", "nrx.distributed", "nrx.dlpack", "nrx.dtypes", "nrx.typing"]
    + ["nrx.environment", "nrx.image", "nrx.monitoring", "nrx.profiler", "nrx.sharding", "nrx.stages"],
    ["nrx.example_libraries", "nrx.test_util"],
    ["nrx"],
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}

ALLOWED_WITHIN_LAYER = {("nrx.numpy", "nrx.lax"), ("nrx.random", "nrx.lax"), ("nrx.random", "nrx.numpy")}
ALLOWED_WITHIN_LAYER |= {("nrx.scipy", f"nrx.{n}") for n in ("lax", "numpy", "random", "tree_util", "flatten_util")}
ALLOWED_WITHIN_LAYER |= {("nrx.flatten_util", "nrx.numpy")}
# The wing of the transformations (ops, transforms) and that of the execution (compiler, backends) meet in core alone.
FORBIDDEN_ACROSS_WINGS = {("nrx.backends", "nrx.ops"), ("nrx.transforms", "nrx.compiler")}

Check = Callable[[str], Iterator[str]]
Graph = dict[str, set[str]]


# --- The bundled data -------------------------------------------------------------------------------------------------


def test_digits_file_is_the_documented_one() -> None:
    digest = hashlib.sha256((DATASETS / "digits.npz").read_bytes()).hexdigest()
    assert re.findall(r"\b[0-9a-f]{64}\b", (DATASETS / "digits.md").read_text(encoding="utf-8")) == [digest]


def test_digits_are_those_of_the_source() -> None:
    with np.load(DATASETS / "digits.npz") as file:
        fields = dict(file)
    images, labels = fields.pop("images"), fields.pop("labels")
    assert not fields
    assert (images.dtype, images.shape) == (np.uint8, (1797, 8, 8))
    assert (labels.dtype, labels.shape) == (np.uint8, (1797,))
    assert (images.min(), images.max()) == (0, 16)
    # Published with the data set: how often each digit occurs, and the beginning of its first line, a zero.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images[0, :2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert labels[0] == 0


# --- The size and tidiness of the code --------------------------------------------------------------------------------


def python_files(folders: list[str]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def line_span(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def long_files(source: str) -> Iterator[str]:
    if (length := len(source.splitlines())) > MAX_FILE_LINES:
        yield f"{length}: {length} lines, more than {MAX_FILE_LINES}"


def wide_lines(source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), start=1):
        if len(line) > MAX_COLUMNS:
            yield f"{number}: {len(line)} columns, more than {MAX_COLUMNS}"


def long_functions(source: str) -> Iterator[str]:
    for function in functions(source):
        docstring = line_span(function.body[0]) if ast.get_docstring(function, clean=False) is not None else 0
        if (length := line_span(function) - docstring) > MAX_FUNCTION_LINES:
            yield f"{function.lineno}: {function.name} has {length} lines, more than {MAX_FUNCTION_LINES}"


def unfinished_work(source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), start=1):
        if found := re.search(r"\b(TOD[O]|FIXM[E]|XX[X])\b", line):  # the brackets keep this line from finding itself
            yield f"{number}: {found[0]}"


def hidden_imports(source: str) -> Iterator[str]:
    for function in functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = ["." * node.level + (node.module or "")]
            else:
                continue
            for name in names:
                if name.split(".")[0] not in OPTIONAL_PACKAGES:
                    yield f"{node.lineno}: {function.name} imports {name}"


@pytest.mark.parametrize(
    ("check", "folders"),
    [
        (long_files, ALL_CODE),
        (wide_lines, ALL_CODE),
        (long_functions, ALL_CODE),
        (unfinished_work, ALL_CODE),
        (hidden_imports, ["nrx"]),
    ],
)
def test_code_is_in_order(check: Check, folders: list[str]) -> None:
    files = python_files(folders)
    offences = [
        f"{path.relative_to(ROOT)}:{offence}" for path in files for offence in check(path.read_text(encoding="utf-8"))
    ]
    assert files
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (long_files, "\n" * 700, "\n" * 701),
        (wide_lines, "é" * 120, "x" * 121),
        (long_functions, "def f():\n" + "    pass\n" * 59, "def f():\n" + "    pass\n" * 60),
        (long_functions, "def f():\n    '''\n    '''\n" + "    pass\n" * 59, "async def f():\n" + "    pass\n" * 60),
        (unfinished_work, "TODOS", "# TO" + "DO: later"),
        (unfinished_work, "fixme = XXXL", "XX" + "X"),
        (hidden_imports, "import os", "def f():\n    import os"),
        (hidden_imports, "def f():\n    import cupy.cuda", "def f():\n    if f:\n        from . import cupy"),
        (hidden_imports, "def f():\n    from cupyx import jit", "class C:\n    def f(self):\n        import tqdm, re"),
    ],
)
def test_check_tells_good_from_bad(check: Check, good: str, bad: str) -> None:
    assert not list(check(good))
    assert list(check(bad))


# --- The layers of the package ----------------------------------------------------------------------------------------


def import_graph(root: Path) -> Graph:
    """Maps each module of the package in `root / "nrx"` to the modules of the package that it imports."""
    paths = {}
    for path in sorted((root / "nrx").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    def imports(module: str) -> Iterator[str]:
        package = module if paths[module].stem == "__init__" else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(paths[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:
                    submodule = f"{origin}.{alias.name}"
                    yield submodule if submodule in paths else origin

    return {module: {name for name in imports(module) if name.split(".")[0] == "nrx"} for module in paths}


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def layer_of(module: str) -> int:
    return LAYER_OF[module if module in LAYER_OF else package_of(module)]


def is_allowed(importer: str, imported: str) -> bool:
    packages = package_of(importer), package_of(imported)
    if packages in ALLOWED_WITHIN_LAYER:
        return True
    if packages in FORBIDDEN_ACROSS_WINGS:
        return False
    if layer_of(importer) == layer_of(imported):
        return packages[0] == packages[1]
    return layer_of(importer) > layer_of(imported)


def find_cycle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph(ROOT)


def test_every_module_has_a_layer(graph: Graph) -> None:
    assert "nrx" in graph
    assert [module for module in graph if package_of(module) not in LAYER_OF] == []


def test_imports_go_to_lower_layers(graph: Graph) -> None:
    edges = [(importer, imported) for importer in graph for imported in sorted(graph[importer])]
    offences = [f"{importer} imports {imported}" for importer, imported in edges if not is_allowed(importer, imported)]
    assert not offences, "\n" + "\n".join(offences)


def test_imports_have_no_cycle(graph: Graph) -> None:
    assert find_cycle(graph) == []


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("nrx.core.pytree", "nrx.core.errors", True),
        ("nrx.core.tracer", "nrx.core.errors", True),
        ("nrx.core.errors", "nrx.core.tracer", False),
        ("nrx.core.errors", "nrx.core", False),
        ("nrx.ops.math", "nrx.ops.shape", True),
        ("nrx.ops.math", "nrx.compiler.ir", False),
        ("nrx.compiler.ir", "nrx.ops.math", False),
        ("nrx.compiler.ir", "nrx.transforms.vmap", False),
        ("nrx.backends.numpy", "nrx.compiler.ir", True),
        ("nrx.backends.numpy", "nrx.ops.math", False),
        ("nrx.backends.numpy", "nrx.transforms.vmap", False),
        ("nrx.transforms.vmap", "nrx.ops.math", True),
        ("nrx.transforms.vmap", "nrx.compiler.ir", False),
        ("nrx.control.loops", "nrx.transforms.vmap", True),
        ("nrx.random.normal", "nrx.numpy.linalg", True),
        ("nrx.numpy", "nrx.lax", True),
        ("nrx.lax", "nrx.numpy", False),
        ("nrx.nn.layers", "nrx.optim", False),
        ("nrx.nn.layers", "nrx", False),
        ("nrx", "nrx.nn.layers", True),
    ],
)
def test_layer_rule(importer: str, imported: str, allowed: bool) -> None:
    assert is_allowed(importer, imported) == allowed


def test_import_graph_resolves_every_form_of_import(tmp_path: Path) -> None:
    sources = {
        "__init__.py": "import nrx.core\nimport numpy as np",
        "core/__init__.py": "from .a import f\nfrom nrx.core import b",
        "core/a.py": "from . import b\nfrom ..ops import math, g",
        "core/b.py": "def f():\n    from nrx import core",
        "ops/__init__.py": "import nrxother",
        "ops/math.py": "import os, nrx.core.b as b",
    }
    for name, source in sources.items():
        path = tmp_path / "nrx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    graph = import_graph(tmp_path)
    assert graph == {
        "nrx": {"nrx.core"},
        "nrx.core": {"nrx.core.a", "nrx.core.b"},
        "nrx.core.a": {"nrx.core.b", "nrx.ops", "nrx.ops.math"},
        "nrx.core.b": {"nrx.core"},
        "nrx.ops": set(),
        "nrx.ops.math": {"nrx.core.b"},
    }
    assert set(find_cycle(graph)) >= {"nrx.core", "nrx.core.b"}
