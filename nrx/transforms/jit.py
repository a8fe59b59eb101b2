"""`jit`: a function is traced once for each kind of arguments; later calls run the recorded Program."""

import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from nrx.core.aval import Aval
from nrx.core.config import config, rare
from nrx.core.errors import ArgumentTypeError, StaticArgumentError, UnhashableError, nesting_error
from nrx.core.once import making
from nrx.core.primitive import registry
from nrx.core.program import Program, prune
from nrx.core.pytree import PyTreeDef, tree_flatten
from nrx.core.trace import Tracer, describe_caller, name_of, named_axes
from nrx.transforms.dispatch import Static
from nrx.transforms.explain import Key, report, why
from nrx.transforms.flatten import arrays_of_call, check_function, named_parameters, positional_name
from nrx.transforms.stages import Caller, Lowered, Traced
from nrx.transforms.staging import abstract_leaves, stage_call

_MOST_TRACED = 1024
#: Arguments of JAX's jit that make no difference.
_IGNORED = frozenset(
    ("in_shardings", "out_shardings", "keep_unused", "device", "backend", "compiler_options", "abstracted_axes")
)
_all: WeakSet["JitFunction"] = WeakSet()


class _Static(NamedTuple):
    """A static argument, and what tells it from others in the key of what was traced."""

    value: Hashable
    identity: Hashable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def guard(self, where: int | str) -> Static:
        """How generated code recognises it."""
        known = hash(self)  # now: the value may change, and its hash with it

        def matches(value: Any) -> bool:
            other = _Static(value, _identity(value))
            return hash(other) == known and other == self

        return Static(where, self.value, matches)


def _identity(value: Any) -> Hashable:
    """Different for equal values that a function can tell apart: 1, 1.0 and True, 0.0 and -0.0, in tuples as well."""
    if type(value) is tuple:
        return tuple, tuple(map(_identity, value))
    if type(value) in (float, complex):
        return type(value), repr(value)
    return type(value), value


class JitFunction(Caller):
    """A function that `jit` made; call it as you would the original.

    Attributes:
        trace_count: how often the function has been traced.
    """

    def __init__(
        self,
        function: Callable,
        static_argnums: int | Sequence[int] | None,
        static_argnames: str | Iterable[str] | None,
        donate_argnums: int | Sequence[int] | None,
        donate_argnames: str | Iterable[str] | None,
    ):
        functools.update_wrapper(self, function)
        self._function = function
        self._static = named_parameters("jit", function, "static", static_argnums, static_argnames)
        self._donated = named_parameters("jit", function, "donate", donate_argnums, donate_argnames)
        both = {positional_name(function, i) for i in {*self._static[0]} & {*self._donated[0]}}
        both |= self._static[1] & self._donated[1]
        if both:
            raise StaticArgumentError(
                f"jit of {name_of(function)}: {', '.join(sorted(both))} cannot be both static and donated",
                fix="only arrays have memory to donate: leave it out of donate_argnums",
            )
        self._traced: dict[tuple, Traced] = {}
        _all.add(self)
        self.trace_count = 0

    def __repr__(self) -> str:
        return f"<jit of {name_of(self._function)}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def _call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        if rare and config.disable_jit:
            return self._function(*args, **kwargs)
        try:
            statics, dynamic_args, dynamic_kwargs = self._split(args, kwargs)
            positions = self._dynamic(args) if statics else None
            given, in_tree = tree_flatten((dynamic_args, dynamic_kwargs))
            arrays = arrays_of_call(self._function, dynamic_args, dynamic_kwargs, given, positions)
            traced = self._trace([array.aval for array in arrays], in_tree, statics, args)
            return self._run(traced, given, arrays, args, kwargs)
        except RecursionError as error:
            raise nesting_error(error, describe_caller("jit", self._function)) from None

    def trace(self, *args: Any, **kwargs: Any) -> Program:
        """The Program for arguments like these (arrays or ShapeDtypeStructs), without running it."""
        return self._trace_like(args, kwargs).program

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The function traced for arguments like these (arrays or ShapeDtypeStructs), to be compiled ahead of time.

        >>> import nrx
        >>> step = nrx.jit(lambda x: x * 2).lower(nrx.ShapeDtypeStruct(3, "float32")).compile()
        >>> step(nrx.numpy.ones(3)), step.cost_analysis()["flops"]
        (Array([2., 2., 2.], dtype=float32), 3.0)
        """
        return Lowered(self._trace_like(args, kwargs))

    def clear_cache(self) -> None:
        """Forget what was traced."""
        self._traced.clear()
        self._recent = ()

    def _trace_like(self, args: tuple, kwargs: dict[str, Any]) -> Traced:
        statics, dynamic_args, dynamic_kwargs = self._split(args, kwargs)
        avals, in_tree = abstract_leaves(self._function, dynamic_args, dynamic_kwargs, self._dynamic(args))
        return self._trace(avals, in_tree, statics, args)

    def _trace(self, avals: list[Aval], in_tree: PyTreeDef, statics: tuple, args: tuple) -> Traced:
        key = self._key(avals, in_tree, statics)
        if (traced := self._traced.get(key)) is not None:
            return traced
        with making((id(self), key)):
            if (traced := self._traced.get(key)) is not None:
                return traced
            if rare:
                report(self._function, Key(*key), self._traced, self._dynamic(args))
            self.trace_count += 1
            function = self._partial(args, statics) if statics else self._function
            positions = self._dynamic(args)
            program, out_tree = stage_call(function, avals, in_tree, "jit", positions)
            closed, consts = prune(program).closed()
            donated = self._donated_leaves(in_tree, positions)
            guards = [static.guard(where) for where, static in statics]
            traced = Traced(self._function, closed, consts, in_tree, out_tree, donated, positions, guards)
            if not any(isinstance(const, Tracer) for const in consts):
                if len(self._traced) >= _MOST_TRACED:
                    self._traced.pop(next(iter(self._traced)), None)
                self._traced[key] = traced  # a tracer belongs to this call alone
        return traced

    def _key(self, avals: list[Aval], in_tree: PyTreeDef, statics: tuple) -> tuple:
        return in_tree, tuple(avals), statics, config.tracing_key(), named_axes()

    def _explain(self, args: tuple, kwargs: dict[str, Any]) -> str | None:
        """Why a call like this would be traced; None if it would not."""
        statics, dynamic_args, dynamic_kwargs = self._split(args, kwargs)
        avals, in_tree = abstract_leaves(self._function, dynamic_args, dynamic_kwargs, self._dynamic(args))
        key = self._key(avals, in_tree, statics)
        return None if key in self._traced else why(self._function, Key(*key), self._traced, self._dynamic(args))

    def _donated_leaves(self, in_tree: PyTreeDef, positions: Sequence[int]) -> tuple[bool, ...]:
        """For each leaf of the dynamic arguments whether it is donated."""
        numbers, names = self._donated
        args, kwargs = in_tree.children()
        _, keywords = kwargs.node_data() or (dict, ())
        where = [position in numbers for position in positions] + [keyword in names for keyword in keywords]
        parts = [*args.children(), *kwargs.children()]
        return tuple(flag for flag, part in zip(where, parts, strict=True) for _ in range(part.num_leaves))

    def _split(self, args: tuple, kwargs: dict) -> tuple[tuple, tuple, dict]:
        """Static arguments as (name, value) pairs for the key, and the dynamic ones."""
        numbers, names = self._static
        if not numbers and not names:
            return (), args, kwargs
        statics: list[tuple[int | str, _Static]] = [(i, self._hashable(i, args[i])) for i in numbers if i < len(args)]
        statics += [(n, self._hashable(n, kwargs[n])) for n in sorted(names) if n in kwargs]
        dynamic = tuple(args[i] for i in self._dynamic(args))
        return tuple(statics), dynamic, {n: v for n, v in kwargs.items() if n not in names}

    def _dynamic(self, args: tuple) -> list[int]:
        """Which positional arguments are not static."""
        return [i for i in range(len(args)) if i not in self._static[0]]

    def _hashable(self, which: int | str, value: Any) -> _Static:
        try:
            hash(value)
        except TypeError:
            name = which if isinstance(which, str) else positional_name(self._function, which)
            raise UnhashableError(
                f"static argument {name} of {name_of(self._function)} is a {type(value).__name__}, which has no hash",
                fix="pass a hashable value (a number, a string, a tuple), or do not make the argument static",
            ) from None
        return _Static(value, _identity(value))

    def _partial(self, args: tuple, statics: tuple) -> Callable:
        """The function of the dynamic arguments alone."""
        fixed = {which: static.value for which, static in statics}
        positions = self._dynamic(args)

        @functools.wraps(self._function)
        def partial(*dynamic: Any, **kwargs: Any) -> Any:
            full = [fixed.get(i) for i in range(len(args))]
            for position, value in zip(positions, dynamic, strict=True):
                full[position] = value
            return self._function(*full, **kwargs, **{n: v for n, v in fixed.items() if isinstance(n, str)})

        return partial


def jit(
    fun: Callable | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    inline: bool = False,
    **ignored: Any,
) -> Any:
    """`fun`, traced once for every kind of arguments and run as a Program.

    A kind is: the trees of the arguments, the shape, dtype and weak type of every leaf, and the values of the static
    arguments. What the function closes over is read when it is traced; Python side effects happen then only.

    Args:
        fun: a pure function of pytrees of arrays. Left out, `jit(static_argnums=0)` is a decorator.
        static_argnums, static_argnames: arguments that are passed on as Python values; they must be hashable, and each
            new value traces anew. One may be derived from the other by the signature.
        donate_argnums, donate_argnames: arguments the caller will not use again, so that compiled code may put results
            in their memory. Their arrays are deleted, all of them: using one again is an error, but for other arrays
            and NumPy views of the same data. Where Programs run op by op, and in traced calls, it has no effect.
        inline, ignored: accepted for JAX's sake (`in_shardings`, `out_shardings`, `keep_unused`, `device`, `backend`,
            `compiler_options`, `abstracted_axes`): Programs are inlined as the compiler sees fit, and computed where
            their arguments are.

    Returns:
        A function with the signature and docstring of `fun`.

    Raises:
        ArgumentTypeError: a keyword that JAX does not know.
        StaticArgumentError: an argument number or name that the function does not have.
        UnhashableError: a static argument without a hash.
        TracerError: the function needs a value (an `if`, a loop bound, NumPy) that is not known while tracing.

    >>> import nrx
    >>> nrx.jit(lambda x: x * 2 + 1)(nrx.numpy.arange(3))
    Array([1, 3, 5], dtype=int32)
    """
    if unknown := ignored.keys() - _IGNORED:
        raise ArgumentTypeError(f"jit takes no argument {min(unknown)!r}", fix="see help(nrx.jit)")
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames,
            donate_argnums=donate_argnums, donate_argnames=donate_argnames, inline=inline,
        )  # fmt: skip
    check_function("jit", fun)
    return JitFunction(fun, static_argnums, static_argnames, donate_argnums, donate_argnames)


def explain_recompile(function: Callable, *args: Any, **kwargs: Any) -> str | None:
    """Why a call of a jitted function with these arguments would trace it anew: which argument differs in what.

    Args:
        function: what `jit` made.
        args, kwargs: arguments (arrays or ShapeDtypeStructs), compared with the most similar call so far.

    Returns:
        A sentence, or None if the call is like one before. `config.explain_cache_misses` logs the same in every call.

    Raises:
        ArgumentTypeError: `function` was not made by `jit`.

    >>> import nrx
    >>> double = nrx.jit(lambda x: x * 2)
    >>> _ = double(nrx.numpy.ones(3))
    >>> nrx.explain_recompile(double, nrx.numpy.ones(4))
    'x was float32[3], is float32[4]'
    """
    if not isinstance(function, JitFunction):
        raise ArgumentTypeError(
            f"explain_recompile needs a function that jit made, got {name_of(function)}", fix="pass jit's result"
        )
    return function._explain(args, kwargs)


def clear_caches() -> None:
    """Forget all that was traced and compiled: the next call of every jitted function traces and compiles again.

    What is kept on disk stays there.

    >>> import nrx
    >>> nrx.clear_caches()
    """
    for function in list(_all):
        function.clear_cache()
    for prim in registry.values():
        prim.forget()
