"""Processes that take part: workers that stay alive, and starts, of which each is a process of its own."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.cpu.case import Case, error
from benchmarks.cpu.peers import environment
from benchmarks.cpu.results import Peak

ROOT = Path(__file__).parent.parent.parent
FIRST_STEP = "from benchmarks.cpu.workloads.start import first_loss; print(first_loss({!r}, {!r}, {}), flush=True)"


class PeerError(Exception):
    """A process that failed, or took too long. The message is what the report says."""


class Process:
    """A child whose lines are read with a time limit."""

    def __init__(self, arguments: Sequence[str], variables: Mapping[str, str]):
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by close
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            cwd=ROOT, env=variables, text=True, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put((time.perf_counter(), line))
        self._lines.put((time.perf_counter(), ""))

    def send(self, message: Any) -> None:
        """Write a line of JSON; where nobody reads any more, `receive` will tell."""
        assert self._process.stdin is not None
        try:
            print(json.dumps(message), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return

    def receive(self, limit: float) -> tuple[float, Any]:
        """The next line as JSON, and when it came; at most `limit` seconds from now."""
        try:
            when, line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise PeerError(f"took more than {limit:.0f} s") from None
        if not line:
            self._log.seek(0)
            said = [line for line in self._log.read().splitlines() if line.strip() and not line.startswith(" ")]
            raise PeerError(f"ended with {self._process.wait(limit)}: {said[-1] if said else 'nothing was said'}")
        reply = json.loads(line)
        if isinstance(reply, dict) and "failure" in reply:
            raise PeerError(reply["failure"])
        return when, reply

    def wait(self, limit: float) -> None:
        """Until it has ended by itself."""
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            raise PeerError(f"did not end within {limit:.0f} s") from None

    def close(self) -> None:
        """End it and what it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what was sent to who had ended
                pipe.close()


class Contestant:
    """What takes turns with others."""

    memory: int | None
    """Bytes that a call has at most, where that is asked for."""

    def __init__(self, case: Case, peer: str, seed: int, threads: int, limit: float):
        self._case, self._peer, self._seed, self._threads, self._limit = case, peer, seed, threads, limit
        self._folder = Path(tempfile.mkdtemp(prefix="nrx-bench-"))
        self._pauses = np.zeros(2)
        self.memory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def busy(self) -> float:
        """How busy the process was in the pauses between its bursts, as a part of a core."""
        length, processor = self._pauses
        return float(processor / length) if length else 0.0

    def prepare(self) -> None:
        """Begin to prepare, without waiting for the end."""
        raise NotImplementedError

    def ready(self) -> None:
        """Wait for the end of preparing."""
        raise NotImplementedError

    def burst(self, seconds: float) -> list[float]:
        """Seconds per call, one or more times."""
        raise NotImplementedError


class Worker(Contestant):
    """A process that runs one workload in one library."""

    _process: Process | None = None

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.close()
        super().__exit__(*exception)

    def prepare(self) -> None:
        cache = self._folder if self._peer != "jax" else None
        variables = environment(self._peer, self._threads, cache, self._case.x64)
        words = [self._peer, self._case.name, str(self._seed), str(self._threads)]
        self._process = Process(["-m", "benchmarks.cpu.worker", *words], variables)

    def ready(self) -> None:
        assert self._process is not None
        _, reply = self._process.receive(self._limit)
        self.memory = reply["memory"]

    def burst(self, seconds: float) -> list[float]:
        assert self._process is not None
        self._process.send(seconds)
        _, reply = self._process.receive(self._limit)
        self._pauses += reply["pause"]
        return reply["samples"]


class Start(Contestant):
    """Processes that make one training step and end."""

    def prepare(self) -> None:
        data = self._case.inputs(np.random.default_rng(self._seed))
        self._reference = self._case.reference(*data)

    def ready(self) -> None:
        """Fill the caches, the system's included."""
        self.burst(0)

    def burst(self, seconds: float) -> list[float]:
        folder = self._folder
        if not self._case.warm:
            folder = Path(tempfile.mkdtemp(dir=folder))
        cache = folder if self._case.warm or self._peer != "jax" else None
        code = FIRST_STEP.format(self._case.name, self._peer, self._seed)
        process = Process(["-c", code], environment(self._peer, self._threads, cache))
        try:
            when, loss = process.receive(self._limit)
            process.wait(self._limit)
        finally:
            process.close()
        if not (far := error(loss, self._reference)) <= self._case.tolerance:
            raise PeerError(f"wrong by {far:.2g}")
        return [when - process.started]


def peak(threads: int, limit: float) -> Peak:
    """What the machine can do, by a process of its own."""
    process = Process(["-m", "benchmarks.cpu.roofline", str(threads)], environment("nrx", threads, None))
    try:
        return Peak(*process.receive(limit)[1])
    finally:
        process.close()


def contestant(case: Case, peer: str, seed: int, threads: int, limit: float) -> Contestant:
    return (Worker if case.warm is None else Start)(case, peer, seed, threads, limit)
