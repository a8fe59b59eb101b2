"""Context-local settings.

A setting has a process-wide default, changed with `config.update(name, value)`, and may be overridden for the current
context (thread or asyncio task) with `with config.using(name=value):`.

>>> import nrx
>>> with nrx.config.using(default_float="float64"):
...     nrx.numpy.zeros(2).dtype
dtype('float64')
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from nrx.core import jax_flags
from nrx.core.errors import ConfigError, NoEffectWarning, user_source

_UNSET: Any = object()
#: The settings that only debugging uses, once they have been changed: empty in nearly every program.
rare: set[str] = set()
#: The overrides of the tracing settings in this context, `_UNSET` where there is none; None without any.
_overrides: ContextVar[tuple | None] = ContextVar("nrx_overrides", default=None)


def _one_of(*names: str) -> Callable[[Any], np.dtype]:
    def check(value: Any) -> np.dtype:
        dtype = np.dtype(value)
        if dtype.name not in names:
            raise ConfigError(f"got {dtype.name}", fix=f"use {', '.join(names[:-1])} or {names[-1]}")
        return dtype

    return check


def boolean(value: Any) -> bool:
    """Parse a setting that is on or off."""
    if not isinstance(value, bool):
        raise ConfigError(f"got {value!r}", fix="use True or False")
    return value


def _choice(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise ConfigError(f"got {value!r}", fix=f"use {' or '.join(map(repr, names))}")
        return value

    return check


class _Setting(NamedTuple):
    doc: str
    parse: Callable[[Any], Any]
    local: ContextVar
    rare: bool


class Config:
    """The settings of nrx; read one as an attribute (`config.default_float`)."""

    def __init__(self) -> None:
        self._settings: dict[str, _Setting] = {}
        self._defaults: dict[str, Any] = {}
        self._tracing: list[str] = []
        #: JAX's flags that change nothing -> what they were last set to.
        self._ignored: dict[str, Any] = {}
        #: The overrides of a context -> its tracing key; a new dictionary whenever a default changes.
        self._keys: dict[tuple | None, tuple] = {}
        self._interned: dict[tuple, tuple] = {}

    def define(
        self, name: str, default: Any, parse: Callable[[Any], Any], doc: str, *, tracing: bool = False,
        rare: bool = False,
    ) -> None:  # fmt: skip
        """Declare a setting (called by the module that uses it).

        `tracing` says that it changes what is traced, `rare` that it need not be looked at before it is in `rare`.
        """
        self._settings[name] = _Setting(doc, parse, ContextVar(f"nrx_{name}", default=_UNSET), rare)
        self._defaults[name] = default
        if tracing:
            self._tracing.append(name)
            self._keys = {}

    def tracing_key(self) -> tuple:
        """The settings that a traced function depends on; the same object as long as they are the same."""
        overrides, keys = _overrides.get(), self._keys
        try:
            return keys[overrides]
        except KeyError:
            values = [self._defaults[name] for name in self._tracing]
            if overrides is not None:
                values = [v if o is _UNSET else o for v, o in zip(values, overrides, strict=True)]
            key = tuple(values)
            return keys.setdefault(overrides, self._interned.setdefault(key, key))

    def _setting(self, name: str) -> _Setting:
        try:
            return self._settings[name]
        except KeyError:
            known = f"the settings are {', '.join(sorted(self._settings))}, and JAX's flags"
            raise ConfigError(f"no setting named {name!r}", fix=known) from None

    def _parse(self, name: str, value: Any) -> Any:
        setting = self._setting(name)
        if setting.rare:
            rare.add(name)
        try:
            return setting.parse(value)
        except (ConfigError, TypeError, ValueError) as error:
            fix = getattr(error, "fix", None)
            raise ConfigError(f"config.{name}: {getattr(error, 'message', error)}", fix=fix) from None

    def _plain(self, name: str) -> str:
        """The name of a setting, which may be given as JAX's: `jax_debug_nans`."""
        plain = name.removeprefix("jax_")
        return plain if plain in self._settings else name

    def __getattr__(self, name: str) -> Any:
        if name in jax_flags.READ:
            return jax_flags.READ[name](self)
        if name in jax_flags.IGNORED:
            return self._ignored.get(name, jax_flags.IGNORED[name][0])
        name = self._plain(name)
        value = self._setting(name).local.get()
        return self._defaults[name] if value is _UNSET else value

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise ConfigError(
                f"config.{name} cannot be assigned to",
                fix=f"config.update({name!r}, value) for the process, `with config.using({name}=value):` for a block",
            )
        super().__setattr__(name, value)

    def reader(self, name: str) -> Callable[[], Any]:
        """A function that reads one setting, for code that does so on every operation."""
        local, defaults = self._setting(name).local, self._defaults

        def read() -> Any:
            value = local.get()
            return defaults[name] if value is _UNSET else value

        return read

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._settings]

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {getattr(self, name)!s:10} {s.doc}" for name, s in sorted(self._settings.items()))

    def tracing_names(self) -> tuple[str, ...]:
        """The names of the settings in `tracing_key`."""
        return tuple(self._tracing)

    def update(self, name: str, value: Any) -> None:
        """Change a setting for the whole process.

        Args:
            name: that of a setting, with or without `jax_` before it, or a flag of JAX's. `"jax_enable_x64"` sets
                `default_float` and `default_int`. Flags that mean nothing here are accepted.
            value: the value.

        Raises:
            ConfigError: there is no such setting, or it does not take the value.

        Warns:
            NoEffectWarning: for a flag that changes nothing, once, unless the value is what nrx does anyway.

        >>> import nrx
        >>> nrx.config.update("jax_enable_x64", False)
        >>> nrx.config.default_float
        dtype('float32')
        """
        if name in jax_flags.TRANSLATED:
            for plain, part in jax_flags.TRANSLATED[name](value).items():
                self.update(plain, part)
            return
        if name in jax_flags.IGNORED:
            self._ignore(name, value)
            return
        name = self._plain(name)
        self._defaults[name] = self._parse(name, value)
        self._keys = {}

    def read(self, name: str) -> Any:
        """The value of a setting or a flag."""
        return getattr(self, name)

    def _ignore(self, name: str, value: Any) -> None:
        is_new = name not in self._ignored
        self._ignored[name] = value
        if is_new and value not in jax_flags.IGNORED[name]:
            message = (
                f"config.update({name!r}, {value!r}) at {user_source()} has no effect: the flag means nothing here"
            )
            warnings.warn(message, NoEffectWarning, stacklevel=3)

    @contextmanager
    def using(self, **values: Any) -> Iterator[None]:
        """Override settings inside a `with` block, in this thread or task only."""
        parsed = {name: self._parse(name, value) for name, value in values.items()}
        tokens = [(self._settings[name].local, self._settings[name].local.set(v)) for name, v in parsed.items()]
        if not parsed.keys().isdisjoint(self._tracing):
            overrides = tuple([self._settings[name].local.get() for name in self._tracing])
            tokens.append((_overrides, _overrides.set(overrides)))
        try:
            yield
        finally:
            for variable, token in reversed(tokens):
                variable.reset(token)


config = Config()
config.define(
    "default_float",
    np.dtype("float32"),
    _one_of("float16", "float32", "float64"),
    "dtype of zeros(3), 1.5",
    tracing=True,
)
config.define("default_int", np.dtype("int32"), _one_of("int32", "int64"), "dtype of arange(3), 1", tracing=True)
config.define("debug_checks", False, boolean, "type-check every Program and every eager result", rare=True)
config.define("debug_nans", False, boolean, "raise where a NaN is made", tracing=True, rare=True)
config.define("debug_infs", False, boolean, "raise where an infinity is made", tracing=True, rare=True)
config.define("debug_indices", False, boolean, "raise where a traced index is out of bounds", tracing=True, rare=True)
config.define("disable_jit", False, boolean, "jit and control flow run as ordinary Python", tracing=True, rare=True)
config.define(
    "numpy_rank_promotion",
    "allow",
    _choice("allow", "warn", "raise"),
    "whether arrays of different ranks are broadcast",
    tracing=True,
    rare=True,
)
config.define(
    "numpy_dtype_promotion",
    "standard",
    _choice("standard", "strict"),
    "whether arrays of different dtypes are promoted",
    tracing=True,
    rare=True,
)
config.define("explain_cache_misses", False, boolean, "log why a jitted function is traced", rare=True)
config.define("log_compiles", False, boolean, "log every tracing and every compilation", rare=True)
config.define("check_tracer_leaks", False, boolean, "raise where a tracer outlives its function", rare=True)
config.define("dynamic_shapes", True, boolean, "one compilation for all leading dimensions, from the second size on")
