"""The thread pool: the same results for any number of threads, whoever calls, forks, interrupts or leaves."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_kernels import Kernels, multiplied

from nrx.compiler import llvm, pool
from nrx.compiler.loader import Loaded
from nrx.compiler.pool import Pool, set_num_threads
from nrx.compiler.targets import host
from nrx.core import threads as counts
from nrx.core.errors import ConfigError
from nrx.core.threads import get_num_threads

pytest.importorskip("llvmlite")

THREAD_COUNTS = pytest.mark.parametrize("threads", [1, 2, 5])
HAS_TIMER = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
HAS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return Kernels()


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    counts._chosen = None
    if Pool.instance is not None:
        Pool.instance.resize()


def run_script(text: str) -> str:
    """The output of a Python process of its own, which must end well."""
    setup = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    setup += "import os, signal, threading, time\nimport numpy as np\nfrom native_kernels import Kernels, multiplied\n"
    setup += "from nrx.compiler import pool, runtime\nkernels = Kernels()\n"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-X", "faulthandler", "-c", setup + text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# ---- results --------------------------------------------------------------------------------------------------------


@THREAD_COUNTS
@pytest.mark.parametrize("tasks", [0, 1, 7, 100, 1001])
@pytest.mark.parametrize("grain", [1, 7, 2000])
def test_every_task_runs_once(kernels: Kernels, threads: int, tasks: int, grain: int) -> None:
    set_num_threads(threads)
    np.testing.assert_array_equal(kernels.run("multiply", tasks, grain), multiplied(tasks))


@THREAD_COUNTS
def test_many_jobs_in_a_row(kernels: Kernels, threads: int) -> None:
    set_num_threads(threads)
    for tasks in range(2, 500):
        np.testing.assert_array_equal(kernels.run("multiply", tasks, 3, rounds=2), multiplied(tasks, 2))


@THREAD_COUNTS
def test_threads_have_numbers(kernels: Kernels, threads: int) -> None:
    set_num_threads(threads)
    seen: set[int] = set()
    deadline = time.monotonic() + 60  # a busy machine may keep the workers waiting
    while len(seen) < min(threads, 2) and time.monotonic() < deadline:
        seen |= set(kernels.run("which", 40, 1).tolist())
    assert len(seen) >= min(threads, 2)  # which ones take part is chance
    assert seen <= set(range(threads))


@THREAD_COUNTS
def test_jobs_inside_jobs(kernels: Kernels, threads: int) -> None:
    set_num_threads(threads)
    out = kernels.run("nested", 50, 1, size=500).reshape(50, 10)
    np.testing.assert_array_equal(out, np.tile(multiplied(10), (50, 1)))


def test_many_callers_and_changing_numbers_of_threads(kernels: Kernels) -> None:
    def call(number: int) -> None:
        for tasks in range(number, 400, 5):
            good.append(np.array_equal(kernels.run("multiply", tasks, 5), multiplied(tasks)))

    good: list[bool] = []
    callers = [threading.Thread(target=call, args=(number,)) for number in range(5)]
    for caller in callers:
        caller.start()
    for number in range(40):
        set_num_threads(number % 5 + 1)
        time.sleep(0.001)
    for caller in callers:
        caller.join()
    assert len(good) == 400
    assert all(good)


@pytest.mark.skipif(not host().is_x86, reason="sets the MXCSR register")
@THREAD_COUNTS
def test_workers_round_as_the_caller_does(kernels: Kernels, threads: int) -> None:
    """Libraries built with -ffast-math have the thread that loads them flush subnormal numbers to zero."""
    text = """
    declare void @llvm.x86.sse.stmxcsr(ptr)
    declare void @llvm.x86.sse.ldmxcsr(ptr)
    define void @get(ptr %mode) nounwind {
      call void @llvm.x86.sse.stmxcsr(ptr %mode)
      ret void
    }
    define void @set(ptr %mode) nounwind {
      call void @llvm.x86.sse.ldmxcsr(ptr %mode)
      ret void
    }"""
    code = Loaded(llvm.assemble(text, host()))
    get, put = (ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address(name)) for name in ("get", "set"))
    set_num_threads(threads)
    usual, flushing = ctypes.c_uint32(), ctypes.c_uint32()
    get(ctypes.addressof(usual))
    flushing.value = usual.value | 1 << 15
    bits = int(np.float64(2.0**-520).view(np.int64))
    for mode, expected in ((flushing, 0.0), (usual, 2.0**-1040), (flushing, 0.0), (usual, 2.0**-1040)):
        put(ctypes.addressof(mode))
        outs = [kernels.run("square", 40, 1, rounds=bits).view(np.float64) for _ in range(10)]
        put(ctypes.addressof(usual))
        np.testing.assert_array_equal(outs, expected)


# ---- the number of threads ------------------------------------------------------------------------------------------


def test_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NRX_NUM_THREADS", raising=False)
    monkeypatch.setattr(counts, "processor_limit", lambda: 3)
    assert get_num_threads() == 3
    monkeypatch.setenv("NRX_NUM_THREADS", "7")
    assert get_num_threads() == 7
    set_num_threads(2)
    assert get_num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 1025, 2.0, True, "2", None])
def test_impossible_numbers(count: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="set_num_threads: got"):
        set_num_threads(count)
    monkeypatch.setenv("NRX_NUM_THREADS", str(count) if count != "2" else "two")
    with pytest.raises(ConfigError, match="NRX_NUM_THREADS: got"):
        get_num_threads()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs affinities")
def test_workers_have_processors_of_their_own(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def affinities() -> list[set[int]]:
        kernels.run("which", 40, 1)
        time.sleep(0.01)
        return [os.sched_getaffinity(worker.native_id) for worker in Pool.instance._workers]

    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > 1:
        set_num_threads(len(cpus))
        assert affinities() == [{cpu} for cpu in cpus]
    set_num_threads(len(cpus) + 1)
    assert affinities() == [set(cpus)] * len(cpus)


def test_no_thread_can_be_started(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    set_num_threads(4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    np.testing.assert_array_equal(kernels.run("multiply", 100, 1), multiplied(100))
    assert Pool.instance is not None
    assert not Pool.instance._workers


def test_a_failure_to_start_is_raised(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[int]:
        raise KeyError("processors")

    set_num_threads(2)
    monkeypatch.setattr(pool, "processors", fail)
    with pytest.raises(KeyError, match="processors"):
        kernels.run("multiply", 100, 1)
    monkeypatch.undo()
    np.testing.assert_array_equal(kernels.run("multiply", 100, 1), multiplied(100))


# ---- signals --------------------------------------------------------------------------------------------------------


class AlarmError(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[Any]:
    """`alarm(seconds, handler)`: call the handler soon."""

    def ring(seconds: float, handler: Any) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield ring
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@HAS_TIMER
@THREAD_COUNTS
@pytest.mark.parametrize(("tasks", "rounds"), [(10**6, 10**6), (60, 10**8)], ids=["short chunks", "long chunks"])
def test_an_interrupt_ends_a_job(kernels: Kernels, alarm: Any, threads: int, tasks: int, rounds: int) -> None:
    def handler(*_: Any) -> None:
        raise AlarmError

    set_num_threads(threads)
    start = time.monotonic()
    alarm(0.1, handler)
    with pytest.raises(AlarmError):
        kernels.run("multiply", tasks, 1, rounds=rounds)
    assert time.monotonic() - start < 20
    np.testing.assert_array_equal(kernels.run("multiply", 100, 1), multiplied(100))


@HAS_TIMER
@THREAD_COUNTS
def test_a_handler_may_run_jobs_and_resize(kernels: Kernels, alarm: Any, threads: int) -> None:
    def handler(*_: Any) -> None:
        inner.append(kernels.run("multiply", 100, 1))
        set_num_threads(threads % 2 + 1)
        inner.append(kernels.run("multiply", 100, 1))

    inner: list[Any] = []
    set_num_threads(threads)
    alarm(0.03, handler)
    while not inner:
        np.testing.assert_array_equal(kernels.run("multiply", 3000, 1, rounds=30000), multiplied(3000, 30000))
    for result in inner:
        np.testing.assert_array_equal(result, multiplied(100))


def test_keyboard_interrupt() -> None:
    text = """
        pool.set_num_threads(2)
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            kernels.run("multiply", 10 ** 6, 1, rounds=10 ** 6)
        except KeyboardInterrupt:
            print("interrupted", np.array_equal(kernels.run("multiply", 100, 1), multiplied(100)))
    """
    assert run_script(text.replace("\n        ", "\n")) == "interrupted True\n"


# ---- processes ------------------------------------------------------------------------------------------------------


@HAS_FORK
def test_fork_while_jobs_run() -> None:
    text = """
        def check(tasks=300):
            return np.array_equal(kernels.run("multiply", tasks, 1), multiplied(tasks))

        pool.set_num_threads(2)
        going = True
        def call():
            while going:
                check()
        caller = threading.Thread(target=call)
        caller.start()
        for _ in range(15):
            child = os.fork()
            if child == 0:
                os._exit(0 if all(check() for _ in range(20)) and len(pool.Pool.instance._workers) == 2 else 1)
            assert os.waitpid(child, 0)[1] == 0
        going = False
        caller.join()
        child = os.fork()
        if child == 0:
            assert check()
            sys.exit(0)  # with the atexit functions
        assert os.waitpid(child, 0)[1] == 0
        print("good")
    """
    assert run_script(text.replace("\n        ", "\n")) == "good\n"


@HAS_FORK
@HAS_TIMER
def test_fork_in_the_middle_of_a_job() -> None:
    """What the workers had begun is lost to the child, which must not take it for done."""
    text = """
        child = None
        def handler(*_):
            global child
            child = os.fork()
        pool.set_num_threads(2)
        signal.signal(signal.SIGALRM, handler)
        kernels.run("multiply", 100, 1)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        while child is None:
            try:
                good = np.array_equal(kernels.run("multiply", 5000, 1, rounds=30000), multiplied(5000, 30000))
            except Exception as error:
                good = str(error).startswith("native code was cut in two by a fork") and child == 0
        good = good and np.array_equal(kernels.run("multiply", 100, 1), multiplied(100))
        if child == 0:
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        print(good)
    """
    assert run_script(text.replace("\n        ", "\n")) == "True\n"


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit()",
        "import atexit; atexit.register(lambda: kernels.run('multiply', 100, 1))",
        "threading.Thread(target=lambda: kernels.run('multiply', 3000, 1, rounds=30000)).start()",
        "threading.Thread(target=lambda: kernels.run('multiply', 10**6, 1, rounds=10**6), daemon=True).start()",
        "threading.Thread(target=lambda: kernels.run('multiply', 10, 1, rounds=10**11), daemon=True).start()",
    ],
)
def test_interpreter_exit(ending: str) -> None:
    start = "pool.set_num_threads(2)\nkernels.run('multiply', 1000, 1)\nprint('begun', flush=True)\n"
    begun = time.monotonic()
    assert run_script(f"{start}{ending}\ntime.sleep(0.1)") == "begun\n"
    assert time.monotonic() - begun < 30
