"""The examples run, reach what they promise, and survive Ctrl-C."""

import importlib.util
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nrx

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CTRL_C_AT_BATCH_100 = """
import os, signal, sys
import demo

report = demo.report

def report_and_interrupt(bar, training, speed):
    report(bar, training, speed)
    if len(training.batches) == 100:
        os.kill(os.getpid(), signal.SIGINT)

demo.report = report_and_interrupt
sys.exit(demo.main())
"""
PNG = b"\x89PNG\r\n\x1a\n"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- the demo -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # as the demo sets it, and no longer than for these tests
        yield example("demo")


def test_demo(demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert demo.main(["--quick", "--out", str(tmp_path)]) == 0
    assert files(tmp_path) == ["learning_curve.png", "parameters.nrx", "parameters.pkl", "predictions.png"]
    printed = capsys.readouterr().out
    found = re.search(r"Test accuracy  ([\d.]+)%, (\d+) of (\d+)", printed)
    assert found is not None
    assert int(found[3]) == 359
    assert float(found[1]) == pytest.approx(100 * int(found[2]) / 359, abs=0.01)
    assert float(found[1]) >= 93
    assert "bit for bit" in printed
    for name in ("learning_curve.png", "predictions.png"):
        picture = (tmp_path / name).read_bytes()
        assert picture.startswith(PNG)
        assert len(picture) > 10_000


def test_demo_counts_right(demo: Any, tmp_path: Path) -> None:
    """The accuracy, computed anew from the saved parameters with NumPy alone."""
    demo.main(["--epochs", "1", "--out", str(tmp_path)])
    with open(tmp_path / "parameters.pkl", "rb") as file:
        params = [
            {name: np.asarray(value, np.float64) for name, value in layer.items()} if layer else None
            for layer in pickle.load(file)
        ]
    _, test = nrx.data.split(nrx.data.load_digits(), 0.8, key=nrx.random.PRNGKey(2024))
    x = np.asarray(test.images, np.float64)
    for layer in (params[0], params[2]):
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        x = np.maximum(np.einsum("nyxchw,hwco->nyxo", windows, layer["kernel"]) + layer["bias"], 0)
    x = x.reshape(len(x), 4, 2, 4, 2, -1).max((2, 4)).reshape(len(x), -1)
    guesses = (x @ params[-1]["kernel"] + params[-1]["bias"]).argmax(1)
    expected = float((guesses == np.asarray(test.labels)).mean())
    assert demo.accuracy(nrx.io.load(tmp_path / "parameters.nrx"), test) == pytest.approx(expected, abs=0.003)


def test_demo_rejects_bad_parameters_and_bad_results(demo: Any, tmp_path: Path, monkeypatch: Any) -> None:
    images = nrx.data.load_digits().images
    params = demo.model.init(nrx.random.PRNGKey(0), images)
    monkeypatch.setattr(nrx.io, "load", lambda path: nrx.tree.map(lambda p: p + 1e-6, params))
    with pytest.raises(SystemExit, match=r"parameters.nrx predict something else"):
        demo.save_and_load(params, images, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(demo, "LEARNING_RATE", 1e-9)
    assert demo.main(["--epochs", "1", "--out", str(tmp_path)]) == 1


def test_demo_has_nothing_to_resume(demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert demo.main(["--resume", "--out", str(tmp_path)]) == 2
    assert "There is no" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_demo_interrupted_and_resumed_is_the_demo(demo: Any, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--epochs", "8", "--out"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), str(EXAMPLES)])}
    subprocess.run([*command, str(whole)], env=environment, check=True, capture_output=True, timeout=120)

    program = [sys.executable, "-c", CTRL_C_AT_BATCH_100, "--epochs", "8", "--out", str(parts)]
    interrupted = subprocess.run(program, env=environment, capture_output=True, timeout=60, text=True)
    printed, errors = interrupted.stdout, interrupted.stderr
    assert interrupted.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Interrupted after" in printed
    assert "--resume" in printed
    assert files(parts) == ["checkpoint.pkl"]
    position = nrx.io.load_pickle(parts / "checkpoint.pkl")[2]
    assert isinstance(position, nrx.data.BatchState)
    assert position.epoch == 2

    result = subprocess.run([*command, str(parts), "--resume"], env=environment, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert files(parts) == files(whole)
    assert (parts / "parameters.nrx").read_bytes() == (whole / "parameters.nrx").read_bytes()


# ---- the other examples ---------------------------------------------------------------------------------------------


def test_regression(capsys: pytest.CaptureFixture) -> None:
    regression = example("regression")
    assert regression.main(["--steps", "40"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    slopes = [float(row[3]) for row in rows if row[0] == "Newton"]
    assert slopes[-1] < 1e-8
    assert len(slopes) < 12
    assert slopes[-1] < 10 * slopes[-2] ** 1.5  # quadratic convergence
    assert float([row for row in rows if row[:2] == ["gradient", "descent"]][-1][4]) > 1e-3
    direct, free = ([row[2] for row in rows if row[0] == name][-1] for name in ("Newton", "Newton-CG"))
    assert direct == free


def test_regression_finds_the_minimum() -> None:
    """The same loss in NumPy, minimized by SciPy."""
    optimize = pytest.importorskip("scipy.optimize")
    regression = example("regression")
    images, labels = map(np.asarray, nrx.data.load_digits())
    x = np.concatenate([images.reshape(len(images), -1), np.ones((len(images), 1))], 1).astype(np.float64)
    signs = 2.0 * (labels % 2) - 1

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (x @ w)
        slopes = -signs / (1 + np.exp(margins))
        return np.logaddexp(0, -margins).mean() + 5e-4 * w @ w, x.T @ slopes / len(x) + 1e-3 * w

    expected = optimize.minimize(loss, np.zeros(65), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    ours = regression.make_loss()
    path = regression.newton(ours, nrx.numpy.zeros(65, "float64"), 50, regression.matrix_free(ours))
    np.testing.assert_allclose(np.asarray(path[-1]), expected, atol=1e-4)
    assert float(ours(path[-1])) == pytest.approx(loss(expected)[0], rel=1e-9)


def test_conjugate_gradients() -> None:
    regression = example("regression")
    rng = np.random.default_rng(0)
    factor, b = rng.normal(size=(20, 20)), rng.normal(size=20)
    A = factor @ factor.T + np.eye(20)
    x = regression.conjugate_gradients(lambda v: nrx.numpy.asarray(A) @ v, nrx.numpy.asarray(b))
    np.testing.assert_allclose(np.asarray(x), np.linalg.solve(A, b), rtol=1e-8)


def test_neural_ode(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    neural_ode = example("neural_ode")
    assert neural_ode.main(["--steps", "60", "--plot", str(tmp_path / "spirals.png")]) == 0
    losses = [float(value) for value in re.findall(r"loss ([\d.]+)", capsys.readouterr().out)]
    assert losses[-1] < losses[0] / 10
    assert (tmp_path / "spirals.png").read_bytes().startswith(PNG)
    assert neural_ode.main(["--steps", "1"]) == 1


def test_solver_of_the_neural_ode() -> None:
    """Fourth order: an exact solution, and an error that falls by 2^4 with half the step."""
    neural_ode = example("neural_ode")
    jnp = nrx.numpy
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    start = jnp.asarray(np.array([1.0, 0.0]))

    def error(step: float) -> float:
        neural_ode.TIME_STEP = step
        path = neural_ode.solve(lambda y: jnp.asarray(turn) @ y, start, round(2 / step))
        times = step * np.arange(1, len(path) + 1)
        return float(np.abs(np.asarray(path) - np.stack([np.cos(times), -np.sin(times)], 1)).max())

    assert error(0.1) < 1e-5
    assert 14 < error(0.1) / error(0.05) < 18
