"""The benchmarks of the CPU: their statistics, their verdicts and their report, with times that are made up; and that
every workload computes the same as NumPy, at a small size.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench_cpu
from benchmarks.cpu.case import Case, Task, error
from benchmarks.cpu.catalogue import all_cases
from benchmarks.cpu.machine import Usage, disturbance, usage
from benchmarks.cpu.peers import PEERS, environment, installed
from benchmarks.cpu.processes import PeerError, Process, peak
from benchmarks.cpu.report import Row, figures, memory, microseconds, missed, summary, table
from benchmarks.cpu.results import Law, Peak, Ratio, Timing, Work, growths, ratio, verdicts
from benchmarks.cpu.rounds import Plan, measure, rotated
from benchmarks.cpu.worker import Timed, prepared
from benchmarks.cpu.workloads import (
    attention,
    chain,
    convolution,
    derivatives,
    dispatch,
    elementwise,
    gemm,
    lorenz,
    lstm,
    matrices,
    mlp,
    movement,
    resnet,
    rows,
    start,
    training,
    transformer,
)

PLAN = Plan(rounds=3, burst=0.001, pause=0.0, allowance=1.0, limit=60.0)


def timing(*samples: float) -> Timing:
    return Timing([samples])


def case(name: str = "w", **changes: Any) -> Case:
    made = Case(
        name=name,
        title=f"workload {name}",
        inputs=lambda rng: (rng.normal(size=3),),
        reference=lambda x: 2 * x,
        tolerance=1e-12,
        tasks={"nrx": lambda x: Task(lambda: x + x)},
        targets={"jax": 2.0, "torch": 1.0},
    )
    return replace(made, **changes)


# ---- statistics ------------------------------------------------------------------------------------------------------


def test_statistics_of_known_samples() -> None:
    measured = Timing([[5.0, 1.0], [2.0], [4.0, 3.0]])
    assert (measured.minimum, measured.quartile, measured.median) == (1.0, 2.0, 3.0)
    assert measured.spread == pytest.approx((4 - 2) / 3)


def test_bursts_may_have_different_lengths() -> None:
    samples = np.random.default_rng(0).exponential(size=101)
    measured = Timing([samples[:1], samples[1:40], samples[40:]])
    assert measured.quartile == np.sort(samples)[25]
    assert measured.median == np.sort(samples)[50]


def test_ratio_takes_the_better_of_the_others_by_each_statistic() -> None:
    ours = timing(1.0, 2.0, 2.0, 2.0, 2.0)
    lucky, steady = timing(3.0, 9.0, 9.0, 9.0, 9.0), timing(4.0, 4.0, 4.0, 4.0, 4.0)
    assert ratio([lucky, steady], ours) == Ratio(3.0 / 1.0, 4.0 / 2.0)
    assert ratio([lucky], ours) == Ratio(3.0, 4.5)


@pytest.mark.parametrize(("jax", "met"), [((2.0, 4.0), True), ((2.0, 3.9), False), ((1.9, 4.0), False)])
def test_target_is_met_when_both_ratios_reach_it(jax: tuple[float, float], met: bool) -> None:
    ours, theirs = timing(1.0, 2.0, 2.0, 2.0, 2.0), timing(jax[0], *[jax[1]] * 4)
    (verdict,) = verdicts({"jax": 2.0, "torch": 1.0}, {"nrx": ours, "jax": theirs})
    assert (verdict.against, verdict.met) == ("jax", met)


def test_pytorch_is_the_better_of_its_modes() -> None:
    outcomes = {"nrx": timing(1.0), "torch": timing(5.0), "torch.compile": timing(3.0)}
    (verdict,) = verdicts({"torch": 2.0}, outcomes)
    assert verdict.ratio == Ratio(3.0, 3.0)
    (verdict,) = verdicts({"torch": 2.0}, {**outcomes, "torch.compile": "took more than 60 s"})
    assert verdict.ratio == Ratio(5.0, 5.0)


def test_what_failed_has_no_verdict_unless_it_was_ours() -> None:
    targets = {"jax": 2.0}
    assert verdicts(targets, {"nrx": timing(1.0), "jax": "ended with 1"}) == []
    assert verdicts(targets, {"jax": timing(1.0)}) == []
    (verdict,) = verdicts(targets, {"nrx": "wrong", "jax": timing(1.0)})
    assert (verdict.ratio, verdict.met) == (None, False)


def test_growth_is_judged_by_the_larger_ratio() -> None:
    law = Law("it", "small", "large", 2.2)
    small = {"nrx": timing(1.0, 2.0), "jax": timing(1.0)}
    (growth,) = growths({"small": small, "large": {"nrx": timing(2.0, 4.0), "jax": "failed"}}, [law])
    assert growth.ratios == {"nrx": Ratio(2.0, 2.0)}
    assert growth.met
    (growth,) = growths({"small": small, "large": {"nrx": timing(2.0, 6.0)}}, [law])
    assert not growth.met
    assert growths({"small": small}, [law]) == []


# ---- the report ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234e-6, "1.23"), (5e-7, "0.5"), (153.4e-6, "153"), (2.0, "2,000,000"), (999.6e-6, "1,000")]
)
def test_microseconds(seconds: float, text: str) -> None:
    assert microseconds(seconds) == text


def test_table_is_markdown() -> None:
    assert table(["a", "b"], [["x|y", "2"]]) == "| a | b |\n| --- | --: |\n| x\\|y | 2 |\n"


@pytest.fixture
def report_rows() -> list[Row]:
    first = {"nrx": timing(1e-6), "jax": timing(3e-6), "torch": timing(4e-6), "torch.compile": timing(0.5e-6)}
    return [Row(case("a"), first), Row(case("b", note="A note."), {"nrx": timing(1e-3), "jax": "took more than 60 s"})]


def test_summary_has_times_ratios_and_verdicts(report_rows: list[Row]) -> None:
    head, _, first, second, *rest = summary(report_rows).splitlines()
    assert not rest
    assert [line.count(" | ") for line in (first, second)] == [head.count(" | ")] * 2
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[1:5] == ["1", "3", "4", "0.5"]
    assert cells[5:] == ["3.00 / 3.00", "≥ 2 met", "0.50 / 0.50", "≥ 1 **missed**", "–"]
    cells = [cell.strip() for cell in second.strip("|").split("|")]
    assert cells[1:] == ["1,000", "failed", "–", "–", "–", "≥ 2 unknown", "–", "≥ 1 unknown", "–"]


def test_share_of_the_peak() -> None:
    rates = Peak({"float32": 2e12, "bfloat16": 4e12}, 1e11)
    assert rates.share(Work(1e9, 1e6), 1e-3) == (pytest.approx(0.5), "FLOP/s")
    assert rates.share(Work(1e9, 1e6, "bfloat16"), 1e-3) == (pytest.approx(0.25), "FLOP/s")
    assert rates.share(Work(1e9, 8e7), 1e-3) == (pytest.approx(0.8), "bytes/s")
    assert rates.share(Work(1e9, 1e6, "int8"), 1e-3) == (pytest.approx(0.01), "bytes/s")
    row = Row(case(work=Work(1e9, 1e6)), {"nrx": timing(2e-3, 1e-3)})
    assert summary([row], rates).rstrip().endswith("| 50% of FLOP/s |")
    assert "2,000 GFLOP/s in float32" in figures([row], {}, {}, rates)


def test_peak_is_found() -> None:
    found = peak(1, 60.0)
    assert found.flops["float32"] > 1.2 * found.flops["float64"] > 1e8
    assert found.nbytes > 1e8


def test_memory_of_training_steps_is_compared() -> None:
    def outcomes(ours: int) -> dict[str, Any]:
        return {"nrx": Timing([[1.0]], 0.0, ours), "jax": Timing([[1.0]], 0.0, 30 << 20), "torch": Timing([[1.0]], 0.0)}

    step = case(is_training=True)
    assert "| 20 | 30 | – | – | ≤ the least met |" in memory([Row(step, outcomes(20 << 20))])
    assert "≤ the least **missed**" in figures([Row(step, outcomes(40 << 20))], {}, {})
    assert memory([Row(case(), outcomes(20 << 20))]) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_memory_of_a_call() -> None:
    """In a process of its own: this one has memory to give back, which would count against the call's."""
    program = """
import numpy as np
from benchmarks.cpu.case import Task
from benchmarks.cpu.worker import memory_of, resident

held = []

def run():
    held.append(np.ones(1 << 22))
    np.ones(1 << 23)

print(memory_of(Task(run), resident("RssAnon")))
"""
    root = Path(__file__).parent.parent
    found = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert 90 << 20 < int(found) < 200 << 20  # 32 MiB that stay, and 64 that do not


def test_report_gives_the_reason_of_each_miss(report_rows: list[Row]) -> None:
    assert missed(report_rows) == [("a", "torch")]
    text = figures(report_rows, {"Seed": "7"}, {"a": {"torch": "Because."}, "b": {"jax": "Not shown."}})
    assert "- **workload a**, against PyTorch: Because.\n" in text
    assert "Not shown." not in text
    assert "no reason is written down yet" in figures(report_rows, {}, {})
    assert "- workload b: A note." in text
    assert "- workload b: JAX failed: took more than 60 s" in text
    assert "- Seed: 7" in text
    assert text.endswith("\n")


def test_growth_is_in_the_report_and_its_miss_has_a_reason() -> None:
    outcomes = [{"nrx": timing(1.0), "jax": timing(2.0)}, {"nrx": timing(2.5), "jax": timing(4.0)}]
    report = [Row(case(f"chain-{n}", targets={}), row) for n, row in zip((400, 800), outcomes, strict=True)]
    text = figures(report, {}, {"chain-800": {"growth": "Because."}})
    assert "nrx × 2.50 / 2.50, JAX × 2.00 / 2.00; target ≤ 2.2 **missed**." in text
    assert "- **workload chain-800**, growth: Because.\n" in text


def test_reasons_name_workloads_and_targets() -> None:
    reasons = tomllib.loads(bench_cpu.REASONS.read_text(encoding="utf-8"))
    cases = all_cases()
    for name, by_target in reasons.items():
        assert set(by_target) <= {*cases[name].targets, "growth"}


def test_disturbance_is_what_others_used() -> None:
    before, after = Usage(100.0, 1.0, 50.0, 10.0), Usage(200.0, 3.0, 110.0, 40.0)
    assert disturbance(before, after) == "30.0% of the processors used by others, 2.0% stolen by the host"
    assert disturbance(None, after) == "not known"
    if (now := usage()) is not None:
        assert now.all >= now.busy > 0


# ---- taking turns ----------------------------------------------------------------------------------------------------


class Fake:
    """A contestant that writes down what it is asked for, and fails at one call."""

    def __init__(self, name: str, log: list[str], fails_at: str = "", delay: Callable[[], None] = lambda: None):
        self.name, self.log, self.fails_at, self.delay = name, log, fails_at, delay

    def _note(self, what: str) -> None:
        self.log.append(f"{self.name} {what}")
        if self.fails_at == what:
            raise PeerError(f"failed in {what}")

    def prepare(self) -> None:
        self._note("prepare")

    def ready(self) -> None:
        self._note("ready")

    def burst(self, seconds: float) -> list[float]:
        self._note("burst")
        self.delay()
        return [seconds]


def test_contestants_take_turns_after_all_were_prepared() -> None:
    log: list[str] = []
    outcomes = measure({name: Fake(name, log) for name in "abc"}, PLAN)
    assert log[:6] == ["a prepare", "b prepare", "c prepare", "a ready", "b ready", "c ready"]
    assert [entry[0] for entry in log[6:]] == list("abcbcacab")
    assert outcomes == {name: [[PLAN.burst]] * 3 for name in "abc"}


@pytest.mark.parametrize("where", ["prepare", "ready", "burst"])
def test_who_fails_is_out_and_the_others_go_on(where: str) -> None:
    log: list[str] = []
    outcomes = measure({"a": Fake("a", log, where), "b": Fake("b", log)}, PLAN)
    assert str(outcomes["a"]) == f"failed in {where}"
    assert log[-1] == "b burst"
    assert log.count(f"a {where}") == 1
    assert outcomes["b"] == [[PLAN.burst]] * 3


def test_who_is_slow_has_fewer_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    outcomes = measure({"a": Fake("a", [])}, PLAN._replace(rounds=9, allowance=3.0))
    assert len(outcomes["a"]) == 3
    assert len(measure({"a": Fake("a", [])}, PLAN._replace(rounds=9, allowance=0.0))["a"]) == 2


def test_another_one_begins_each_round() -> None:
    assert [rotated("abc", number) for number in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


# ---- processes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[Callable[[str], Process]]:
    made: list[Process] = []

    def run(code: str) -> Process:
        made.append(Process(["-c", code], os.environ))
        return made[-1]

    yield run
    for process in made:
        process.close()


def test_process_answers_lines(child: Callable[[str], Process]) -> None:
    process = child("import sys\nfor line in sys.stdin: print('[' + line.strip() + ']', flush=True)")
    for message in (1.5, {"a": None}):
        process.send(message)
        when, reply = process.receive(60)
        assert reply == [message]
        assert when > process.started


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(600)", "took more than 0 s"),
        ("raise SystemExit(3)", "ended with 3: nothing was said"),
        ("1 / 0", "ended with 1: ZeroDivisionError: division by zero"),
        ('print(\'{"failure": "too big"}\', flush=True)', "too big"),
    ],
)
def test_process_that_fails_says_why(child: Callable[[str], Process], code: str, message: str) -> None:
    limit = 0.1 if "sleep" in code else 60
    with pytest.raises(PeerError) as raised:
        child(code).receive(limit)
    assert str(raised.value) == message


def test_sending_to_who_has_ended_is_no_error(child: Callable[[str], Process]) -> None:
    process = child("")
    with pytest.raises(PeerError, match="ended with 0"):
        process.receive(60)
    process.send(1)


def test_environment_gives_every_library_the_same_threads(tmp_path: Any) -> None:
    for name in PEERS:
        variables = environment(name, 3, tmp_path)
        assert {variables[f"{prefix}_NUM_THREADS"] for prefix in ("OMP", "MKL", "OPENBLAS", "NRX")} == {"3"}
    assert environment("nrx", 1, tmp_path)["NRX_CACHE_DIR"] == str(tmp_path)
    assert "JAX_COMPILATION_CACHE_DIR" not in environment("jax", 1, None)
    assert environment("jax", 1, tmp_path, x64=True)["JAX_ENABLE_X64"] == "1"


@pytest.mark.parametrize("name", ["eager", "start-cold"])
def test_workload_is_measured_in_processes(name: str) -> None:
    outcomes = bench_cpu.run(all_cases()[name], ["nrx"], PLAN._replace(rounds=1), seed=3, threads=1)
    measured = outcomes["nrx"]
    assert isinstance(measured, Timing), measured
    assert 0 < measured.minimum < 60


# ---- the worker ------------------------------------------------------------------------------------------------------


def test_samples_are_of_many_calls_and_scaled() -> None:
    calls: list[str] = []
    task = Task(lambda: calls.append("run"), finish=lambda: calls.append("finish"), reset=calls.clear, scale=1e6)
    timed = Timed(task, 1e-7)
    reply = timed.burst(0.002)
    assert reply["samples"]
    assert min(reply["samples"]) > 1e-3  # a call takes nanoseconds
    assert calls.count("run") / calls.count("finish") > 100
    assert len(reply["pause"]) == 2


def test_result_is_checked_before_it_is_timed() -> None:
    assert prepared(case(), "nrx", 0)[1] is None
    assert isinstance(prepared(case(is_training=True), "nrx", 0)[1], int | None)
    with pytest.raises(ArithmeticError, match="wrong by"):
        prepared(case(reference=lambda x: 2 * x + 1e-6), "nrx", 0)


@pytest.mark.parametrize(
    ("result", "reference", "right"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        (np.array([1.0, 4.5]), np.array([1.0, 5.0]), 0.1),
        ((np.ones(2), np.zeros(1)), (np.ones(2), np.array([1e-3])), 1.0),
        ({"a": np.float32(2.0)}, {"a": 1.0}, 1.0),
        (np.zeros(3), np.zeros(3), 0.0),
        (np.ones((1, 3)), np.ones(3), np.inf),
        (np.array([np.nan, 1.0]), np.ones(2), np.inf),
    ],
)
def test_error_is_relative_to_the_largest_element(result: Any, reference: Any, right: float) -> None:
    assert error(result, reference) == pytest.approx(right)


# ---- the workloads ---------------------------------------------------------------------------------------------------

SMALL_TRANSFORMER = transformer.cases(layers=2, width=16, heads=2, steps=12, batch=3)
SMALL_RESNET = resnet.cases(channels=(4, 8), size=8, batch=3, tolerance=1e-4)
SMALL_LAYERS = tuple(
    layer._replace(
        batch=2, space=(9, 8, 7)[: len(layer.space)], inputs=3 if layer.is_first else 4, features=4,
        groups=min(layer.groups, 4),
    )
    for layer in convolution.LAYERS
)  # fmt: skip
SMALL = [
    *elementwise.cases(1000),
    *rows.cases((8, 33)),
    *lorenz.cases(20),
    *matrices.cases(50),
    *mlp.cases(16, 24),
    *lstm.cases(steps=5, batch=4, features=6, units=8),
    *SMALL_TRANSFORMER,
    *SMALL_RESNET,
    *gemm.cases(((4, 9, 7), (6, 6, 6)), (3, 5, 4, 7), ((5, 9, 6),), ((8, 11, 5),)),
    *convolution.cases(SMALL_LAYERS),
    *attention.cases(((2, 17, 3, 8),)),
    *movement.cases((8, 33), (50, 7), 20, 1000),
    *derivatives.cases((12, 8, 5), (6, 5, 4), 4),
    *dispatch.cases((1, 4, 23)),
    *start.cases((*SMALL_TRANSFORMER, *SMALL_RESNET)),
    *chain.cases((40, 80)),
]


def result_of(small: Case, peer: str, data: tuple) -> Any:
    task = small.tasks[peer](*data)
    return task.run() if small.warm is not None else (task.result or task.run)()


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_workload_is_right_in_nrx(small: Case) -> None:
    data = small.inputs(np.random.default_rng(11))
    assert error(result_of(small, "nrx", data), small.reference(*data)) <= small.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer not in ("nrx", "torch.compile")])
@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_workload_is_right_in_peers(small: Case, peer: str) -> None:
    if peer not in small.tasks:
        pytest.skip("does not take part")
    module: Any = pytest.importorskip(PEERS[peer].package)
    if small.x64 and peer == "jax":
        module.config.update("jax_enable_x64", True)
    try:
        data = small.inputs(np.random.default_rng(12))
        assert error(result_of(small, peer, data), small.reference(*data)) <= small.tolerance
    finally:
        if small.x64 and peer == "jax":
            module.config.update("jax_enable_x64", False)


def test_gradient_of_the_reference_is_that_of_its_value() -> None:
    data = np.array([1.0, 2.0, 20.0]), np.array([10.0, 28.0, 8 / 3])
    gradients = np.concatenate(lorenz.reference(200, *data)[1])
    flat, h = np.concatenate(data), 1e-6
    for i, slope in enumerate(gradients):
        ends = [lorenz.reference(200, *np.split(flat + sign * h * np.eye(6)[i], 2))[0] for sign in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


def test_slope_tells_a_wrong_gradient_and_a_loss_that_does_not_fall() -> None:
    def loss(params: Any, x: Any, labels: Any) -> float:
        return float(x @ params[0] ** 2)

    data = np.array([1.0, 2.0], np.float32), np.zeros(2, np.int32), np.array([0.5, -1.5], np.float32)
    right = training.slope_reference(loss, *data)
    grad = 2 * data[0] * data[2]
    for factor, change, wrong in ((1.0, -1.0, False), (1.01, -1.0, True), (1.0, 1.0, True)):
        steps = iter(loss(data[2:], *data[:2]) + change * np.arange(20))
        moments = [(1 - training.B1) * factor * grad]
        loop = training.Loop(lambda: next(steps), lambda: None, lambda: None, lambda: moments)  # noqa: B023
        assert (error(training.slope(loop, data[2:]), right) > 1e-4) == wrong


def test_chains_have_their_length_and_stay_comparable() -> None:
    programs = chain.chains(5, 800)
    first, second = next(programs), next(programs)
    assert len(first) == len(second) == 800
    assert first != second
    assert first == next(chain.chains(5, 800))
    x = np.random.default_rng(0).normal(size=100)
    assert error(chain.program(first, np, x.astype(np.float32)), chain.program(first, np, x)) < 1e-5


def test_moments_tell_normal_numbers_from_others() -> None:
    rng, draws = np.random.default_rng(4), movement.of_draws(10_000)
    right, x = draws.reference(np.int32(0)), rng.normal(size=10_000)
    assert error(movement.moments(x), right) <= draws.tolerance
    evenly, sharply = rng.uniform(-(3**0.5), 3**0.5, x.size), rng.laplace(0, 0.5**0.5, x.size)
    for wrong in (x + 0.3, 1.2 * x, np.sort(x), evenly, sharply):
        assert error(movement.moments(wrong), right) > draws.tolerance


# ---- the command -----------------------------------------------------------------------------------------------------


def options(*arguments: str) -> Any:
    return bench_cpu.parsed(arguments, list(all_cases()))


def test_command_selects_by_the_beginning_of_names(capsys: pytest.CaptureFixture) -> None:
    assert options("--only", "rk4", "eager").names == ["rk4-value", "rk4-gradient", "eager"]
    bench_cpu.main(["--list", "--only", "sum"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["sum0", "sum1"]
    with pytest.raises(SystemExit):
        options("--only", "nothing")
    assert "no workload begins with nothing" in capsys.readouterr().err


def test_only_a_full_run_replaces_the_report(tmp_path: Any) -> None:
    everyone = ["--peers", *PEERS]
    assert options(*everyone).output == bench_cpu.REPORT
    assert options(*everyone, "--quick").output is None
    assert options(*everyone, "--only", "sum").output is None
    assert options("--peers", "nrx").output is None
    assert options("--quick", "--output", str(tmp_path / "x.md")).output == tmp_path / "x.md"
    assert "nrx" in installed()


def test_command_prints_or_writes_the_report(
    tmp_path: Any, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(case: Case, peers: list[str], plan: Plan, seed: int, threads: int) -> Mapping[str, Timing]:
        return {peer: timing(1.0) for peer in peers}

    monkeypatch.setattr(bench_cpu, "run", run)
    bench_cpu.main(["--quick", "--peers", "nrx"])
    printed = capsys.readouterr().out
    path = tmp_path / "folder" / "cpu.md"
    bench_cpu.main(["--quick", "--peers", "nrx", "jax", "--seed", "5", "--output", str(path)])
    written = path.read_text(encoding="utf-8")
    for text in (printed, written):
        assert all(case.title in text for case in all_cases().values())
    assert "- Seed: 5\n" in written
    assert written.startswith("# ")
    assert f"Python {sys.version.split()[0]}" in written
