"""What native code finds outside itself: a table of 64-bit words, to which every program adds its own.

    0  parfor(ptr pool, ptr function, ptr args, i64 tasks, i64 grain, ptr watch) -> i64 status
    1  the pool
    2, 3  reserved
    4  host(i64 number, ptr words) -> i64 status
    5  poll() -> i64 status
    6  ticks of the processor's clock after which a loop should call poll
    7  look(ptr pool, ptr watch, i64 thread) -> i64 status
    8 to 15  reserved
    16 …  the program's: addresses of its constants, the numbers of its host functions, the values of its symbols

A status other than 0 means that Python has raised, in a host function or in the handler of a signal: the native code
returns, and `raise_pending` raises what was kept.
"""

import ctypes
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from nrx.compiler import cache, llvm
from nrx.compiler.loader import Loaded
from nrx.compiler.pool import Pool
from nrx.compiler.pool_ir import SYSTEM_SYMBOLS, pool_text
from nrx.compiler.python_ir import EXCEPTION, SYMBOLS, python_text
from nrx.compiler.targets import describe, host_levels
from nrx.core.errors import CompilerError

FIRST_OWN = 16

HostFunction = Callable[[int], Any]
"""Takes the address of the words that a program passes; whatever it raises is raised by the program's caller."""

_numbers = itertools.count(1)
#: Kept alive by the tables of their programs: a function may hold its program, which holds its table.
_host_functions: WeakValueDictionary[int, HostFunction] = WeakValueDictionary()


class RuntimeTable:
    """The table of one program, and all that must live as long as it.

    Args:
        constants: addresses of constants.
        functions: what the program calls on the host.
        symbols: the values of its symbols.
        keep: objects that hold the constants.
    Fields:
        address: of the first word.
    """

    def __init__(
        self,
        constants: Sequence[int] = (),
        functions: Sequence[HostFunction] = (),
        symbols: Sequence[int] = (),
        keep: Any = None,
    ):
        own = [functools.partial(function) for function in functions]  # not everything has weak references
        self._keep = keep, own
        numbers = [next(_numbers) for _ in own]
        _host_functions.update(zip(numbers, own, strict=True))
        words = [*_shared_words(), *constants, *numbers, *symbols]
        self._words = (ctypes.c_int64 * len(words))(*words)
        self.address = ctypes.addressof(self._words)


def raise_pending() -> NoReturn:
    """Raise what made this thread's native code return with a status other than 0."""
    dictionary: dict = ctypes.cast(_thread_dictionary()(), ctypes.py_object).value
    exception = dictionary.pop(EXCEPTION, None)
    if exception is None:
        raise CompilerError("native code was cut in two by a fork", fix="do not fork in the handler of a signal")
    raise exception


def native_functions() -> Loaded:
    """The machine code of the runtime itself, which lives as long as the process."""
    with llvm.lock:
        return _native_functions()


@functools.cache
def _native_functions() -> Loaded:
    target = describe(host_levels()[0])
    code = cache.load(pool_text(target) + python_text(), target, _symbols(target.system))
    Pool(code)
    return code


def _shared_words() -> list[int]:
    code, pool = native_functions(), Pool.instance
    assert pool is not None
    words = [code.address("parfor"), pool.address, 0, 0]
    words += [code.address("host"), code.address("poll"), pool.poll_period, code.address("look")]
    return words + [0] * (FIRST_OWN - len(words))


def _symbols(system: str) -> dict[str, int]:
    """The addresses of what the runtime calls: Python's C interface, the operating system and functions of ours."""
    libraries: dict[str, Any] = dict.fromkeys(SYMBOLS, ctypes.pythonapi)
    for name, library in SYSTEM_SYMBOLS[system].items():
        libraries[name] = ctypes.CDLL(library)
    functions = {name: ctypes.cast(library[name], ctypes.c_void_p).value or 0 for name, library in libraries.items()}
    return {**functions, "host_object": id(_call_host), "start_object": id(_start_workers)}


@functools.cache
def _thread_dictionary() -> Callable[[], int]:
    function = ctypes.pythonapi.PyThreadState_GetDict
    function.restype = ctypes.c_void_p  # a borrowed reference, which as an object ctypes would release
    return function


def _call_host(number: int, words: int) -> None:
    _host_functions[number](words)


def _start_workers() -> None:
    assert Pool.instance is not None
    Pool.instance.start()
