"""The threads that share the work of a compiled program.

There is one pool in a process. Its workers are started by the first job that is worth sharing, sleep when there is
nothing to do, and end with the interpreter. A job that comes while another thread's is running is done by its caller
alone. How a job is cut into chunks never depends on the number of threads, so neither do the results.
"""

import atexit
import ctypes
import os
import signal
import threading

from nrx.compiler.loader import Loaded
from nrx.compiler.pool_ir import PoolMemory
from nrx.core import threads
from nrx.core.machine import processors

_SPIN_SECONDS = 30e-6  # as long as it takes to put a thread to sleep and wake it up again, three times over
_POLL_SECONDS = 0.05
_PATIENCE = 0.2  # with a worker that is in a long chunk when the interpreter ends: it never touches Python again
#: What a thread itself has caused, and what faulthandler and others must see there.
_OWN_SIGNALS = {getattr(signal, n, None) for n in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT")}
_CLOSED = 1 << 31  # of a state: there is no job


def set_num_threads(count: int) -> None:
    """Choose how many threads compute, the calling one included.

    Without a choice it is the environment's NRX_NUM_THREADS, or as many as the processors that this process may use:
    those of its affinity, or the quota of its control group. A job that is running is ended by its caller alone.
    These are the threads of compiled code; those of NumPy, which computes decompositions and what runs op by op, follow
    the environment's OPENBLAS_NUM_THREADS.

    Raises:
        ConfigError: `count` is not a number from 1 to 1024.

    >>> import nrx
    >>> chosen = nrx.get_num_threads()
    >>> nrx.set_num_threads(1)
    >>> nrx.get_num_threads()
    1
    >>> nrx.set_num_threads(chosen)
    """
    threads.choose(count)
    if Pool.instance is not None:
        Pool.instance.resize()


class Pool:
    """The workers, and what they share with their callers.

    Args:
        code: the machine code of `pool_ir`.
    Fields:
        address: of the pool, for `parfor`.
    """

    instance: "Pool | None" = None

    def __init__(self, code: Loaded):
        self._code = code
        self._work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.address("worker"))
        self._stop = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address("stop"))
        self._ticks = ctypes.CFUNCTYPE(ctypes.c_int64)(code.address("ticks_per_second"))()
        self._buffer = ctypes.create_string_buffer(ctypes.sizeof(PoolMemory) + 64)
        self.address = -(-ctypes.addressof(self._buffer) // 64) * 64
        for item in (code, self._buffer):  # for ever: a thread may be in there when the interpreter goes
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))
        self._memory = PoolMemory.from_address(self.address)
        self._workers: list[threading.Thread] = []
        self._reset()
        Pool.instance = self
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    @property
    def poll_period(self) -> int:
        """Ticks of the processor's clock from one look for signals to the next."""
        return round(self._ticks * _POLL_SECONDS)

    def start(self) -> None:
        """Start the workers; called by the first job."""
        with self._lock:
            if self._memory.started:
                return
            count, cpus = self._memory.threads, processors()
            # Each on a processor of its own, where they may have all; the one where the caller is stays out.
            is_pinned = count == len(cpus) and hasattr(os, "sched_setaffinity")
            self._memory.spin = round(self._ticks * _SPIN_SECONDS) if count <= len(cpus) else 0
            for number, cpu in enumerate(cpus if is_pinned else [-1] * (count - 1)):
                thread = threading.Thread(target=self._run, args=(cpu,), name=f"nrx-{number}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads: the caller does what they would have done
                    break
                self._workers.append(thread)
            self._memory.started = 1

    def resize(self) -> None:
        """End the workers; the next job starts as many as are wanted."""
        with self._lock:
            self._stop_workers()
            self._memory.threads = threads.get_num_threads()
            self._memory.started = 0

    def _run(self, cpu: int) -> None:
        if hasattr(signal, "pthread_sigmask"):  # signals are for the main thread, which may be waiting for one
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OWN_SIGNALS)
        if cpu >= 0:
            try:
                os.sched_setaffinity(0, {cpu})
            except OSError:  # the processor has been taken away since
                cpu = -1
        self._work(self.address, cpu)

    def _stop_workers(self, patience: float | None = None) -> None:
        """End the workers after the chunks they are at; wait for each of them for so many seconds."""
        self._stop(self.address)
        for worker in self._workers:
            worker.join(patience)
        self._workers = []
        self._memory.stop = 0

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._workers = []
        forks = self._memory.forks
        ctypes.memset(self.address, 0, ctypes.sizeof(PoolMemory))
        self._memory.state = _CLOSED
        self._memory.threads = threads.get_num_threads()
        self._memory.poll_period = self.poll_period
        self._memory.forks = forks

    def _after_fork(self) -> None:
        """The child has one thread, and perhaps half a job of another."""
        self._reset()
        self._memory.forks += 1

    def _end(self) -> None:
        with self._lock:
            self._memory.threads = 1  # what daemon threads still begin they do alone
            self._stop_workers(_PATIENCE)
