"""`checkify`: errors as values, so that they survive every transformation.

A checked function carries, beside its values, the number of the first check that failed, and the values that its
message mentions. The Program of the function is walked through, loops and branches too; those with checks inside carry
the same along.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx.control.conditional import cond_p
from nrx.control.loops import Sizes as WhileSizes
from nrx.control.loops import while_p
from nrx.control.scan import scan_p
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.errors import CheckError, NrxError, blame
from nrx.core.loops import ScanSizes
from nrx.core.program import Eqn, Literal, Program, Var, prune, subprograms
from nrx.core.pytree import register_pytree_node, tree_unflatten
from nrx.core.shapes import show
from nrx.transforms.checks import Message, check, check_p
from nrx.transforms.flatten import check_function, flatten_call
from nrx.transforms.staging import stage, stage_call

__all__ = [
    "CheckError", "Error", "JaxRuntimeError", "all_checks", "automatic_checks", "check", "check_error", "checkify",
    "debug_check", "div_checks", "float_checks", "index_checks", "nan_checks", "user_checks",
]  # fmt: skip

JaxRuntimeError = CheckError

user_checks = frozenset({"user"})
nan_checks = frozenset({"nan"})
div_checks = frozenset({"div"})
index_checks = frozenset({"index"})
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks

#: What hands NaNs on without making any.
_MOVES = frozenset(
    (
        "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "copysign", "dynamic_slice",
        "dynamic_update_slice", "gather", "imag", "neg", "pad", "real", "reshape", "rev", "scatter", "select_n",
        "slice", "sort", "squeeze", "stop_gradient", "transpose",
    )
)  # fmt: skip


# Public


class Error:
    """Whether a check failed: what a function made by `checkify` returns first. It is a pytree.

    Under `vmap` there is an error for every element.
    """

    def __init__(self, code: Any, payloads: Sequence[Any], messages: Sequence[Any]):
        self._code, self._payloads, self._messages = code, list(payloads), tuple(messages)

    def __repr__(self) -> str:
        return f"Error({self.get()!r})"

    def get(self) -> str | None:
        """What the first failed check says; None if none failed. With several elements, a line for each that failed."""
        code = np.asarray(self._code)
        lines = [self._at(index).message for index in np.ndindex(*code.shape) if code[index]]
        if not code.ndim:
            return lines[0] if lines else None
        failed = [index for index in np.ndindex(*code.shape) if code[index]]
        return "\n".join(f"at mapped index {show(i)}: {line}" for i, line in zip(failed, lines, strict=True)) or None

    def throw(self) -> None:
        """Raise CheckError, which names the line of the check, if one failed."""
        check_error(self)

    def _at(self, index: tuple[int, ...]) -> NrxError:
        values = [np.asarray(payload)[index] for payload in self._payloads]
        return _Again(self._messages).error([np.asarray(self._code)[index], *values])


register_pytree_node(Error, lambda e: ((e._code, *e._payloads), e._messages), lambda m, x: Error(x[0], x[1:], m))


def check_error(error: Error) -> None:
    """Raise what an `Error` holds: at once, or, inside of a traced function, as a `check` of its own.

    Args:
        error: what a function made by `checkify` returned.

    Raises:
        CheckError: a check failed.

    >>> from nrx.experimental import checkify
    >>> err, _ = checkify.checkify(lambda x: x / 0, errors=checkify.div_checks)(1.0)
    >>> checkify.check_error(err)
    Traceback (most recent call last):
        ...
    nrx.core.errors.CheckError: division by zero
      at ..., in <lambda>
      ...
    """
    code = jnp.asarray(error._code)
    check_p.bind(code == 0, code, *map(jnp.asarray, error._payloads), message=_Again(error._messages))


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """`check` for functions that `checkify` transforms; does nothing outside of it.

    Args:
        pred, msg, fmt_args, fmt_kwargs: as for `check`.

    >>> from nrx.experimental import checkify
    >>> checkify.debug_check(False, "never said")
    >>> err, _ = checkify.checkify(lambda: checkify.debug_check(False, "said"))()
    >>> print(err.get())
    said
    """
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


def checkify(f: Callable, errors: frozenset[str] = user_checks) -> Callable[..., tuple[Error, Any]]:
    """A function that returns, before the result of `f`, whether a check in it failed.

    Args:
        f: a function of pytrees of arrays.
        errors: which checks there are: `user_checks` (calls of `check`), `nan_checks` (an operation that gives a NaN),
            `div_checks` (a division by zero), `index_checks` (an index out of bounds), or a union of them with `|`,
            such as `float_checks`, `automatic_checks` and `all_checks`.

    Returns:
        A function of the same arguments with the result `(error, f's result)`, to be transformed like any other.
        `error.get()` says what failed first, `error.throw()` raises it.

    >>> import nrx
    >>> from nrx.experimental import checkify
    >>> def f(x, i):
    ...     return nrx.numpy.log(x)[i]
    >>> err, _ = nrx.jit(checkify.checkify(f, errors=checkify.all_checks))(nrx.numpy.arange(3.0) - 1, 5)
    >>> print(err.get())
    nan generated by primitive: log
    """

    @functools.wraps(check_function("checkify", f))
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        leaves, in_tree = flatten_call(f, args, kwargs)
        program, out_tree = stage_call(f, [leaf.aval for leaf in leaves], in_tree, "checkify")
        closed, consts = program.closed()
        sites = _Sites(closed, frozenset(errors))
        state, outs = _Checker(sites).run(closed, sites.no_error(), [*consts, *leaves])
        return Error(state[0], state[1:], sites.messages), tree_unflatten(out_tree, outs)

    return checked


class _Again:
    """The message of a failed check out of its number and the values of all messages."""

    __name__ = "check"
    is_debug = False  # who throws an error means it

    def __init__(self, messages: Sequence[Any]):
        self._messages = messages
        self.avals = (Aval((), dtypes.int32), *(aval for message in messages for aval in message.avals))

    def error(self, values: Sequence[Any]) -> NrxError:
        number = int(values[0]) - 1
        start = 1 + sum(len(message.avals) for message in self._messages[:number])
        message = self._messages[number]
        return message.error(values[start : start + len(message.avals)])


# The checks of a Program


class _Sites:
    """The checks in a Program, and in those inside: which equations have one, numbered from 1.

    Fields:
        messages: of the checks.
        avals: of the values of all messages.
    """

    def __init__(self, program: Program, errors: frozenset[str]):
        self.errors = errors
        self.messages: list[Any] = []
        self.avals: list[Aval] = []
        self._found: dict[tuple[Eqn, str], tuple[int, int]] = {}
        self._inside: dict[Program, bool] = {}
        self._collect(program)

    def _collect(self, program: Program) -> bool:
        if program not in self._inside:
            inner = [self._collect(p) for eqn in program.eqns for p in subprograms(eqn.params)]
            own = [self._add(eqn, *known) for eqn in program.eqns for known in _checks(eqn)]
            self._inside[program] = any(inner) or any(own)
        return self._inside[program]

    def _add(self, eqn: Eqn, kind: str, message: Any) -> bool:
        if kind not in self.errors:
            return eqn.prim is check_p  # which is left out, and must not raise
        if (eqn, kind) not in self._found:
            self.messages.append(message)
            self._found[eqn, kind] = len(self.messages), 1 + len(self.avals)
            self.avals += message.avals
        return True

    def inside(self, eqn: Eqn) -> bool:
        """Whether there is a check in a Program of an equation."""
        return any(self._inside[program] for program in subprograms(eqn.params))

    def has(self, program: Program) -> bool:
        """Whether there is a check in a Program."""
        return self._inside[program]

    def find(self, eqn: Eqn, kind: str) -> tuple[int, int] | None:
        """The number of a check, and where its values begin in the state; None if there is none."""
        return self._found.get((eqn, kind))

    def no_error(self) -> list[Array]:
        """The state in which nothing has failed: the number of the check that did, and the values of all messages."""
        return [jnp.zeros((), "int32"), *(jnp.zeros(aval.shape, aval.dtype) for aval in self.avals)]


def _checks(eqn: Eqn) -> Iterator[tuple[str, Any]]:
    """The checks that an equation may get, in the order in which they are made."""
    name = eqn.prim.name
    if eqn.prim is check_p:
        yield "user", eqn.params["message"]
    if name in ("div", "rem", "floor_divide", "remainder"):
        yield "div", Message("division by zero", eqn.source)
    if eqn.prim.name in _BOUNDS:
        starts, _ = _BOUNDS[name](eqn, [jnp.zeros(a.aval.shape, a.aval.dtype) for a in eqn.inputs])
        text = "out-of-bounds indexing for array of shape " + show(eqn.inputs[0].aval.shape) + ": index {}"
        yield "index", Message(text, eqn.source, [Aval(starts.shape[-1:], starts.dtype)])
    makes_numbers = not eqn.prim.higher_order and name not in _MOVES
    if makes_numbers and any(dtypes.is_inexact(var.aval.dtype) for var in eqn.outs):
        yield "nan", Message(f"nan generated by primitive: {name}", eqn.source)


# Where indices point, and how far they may


def _slice_bounds(eqn: Eqn, values: Sequence[Array]) -> tuple[Array, np.ndarray]:
    operand, *starts = values
    sizes = eqn.params["slice_sizes"]
    return _stacked(starts), np.subtract(operand.shape, sizes)


def _update_bounds(eqn: Eqn, values: Sequence[Array]) -> tuple[Array, np.ndarray]:
    operand, update, *starts = values
    return _stacked(starts), np.subtract(operand.shape, update.shape)


def _stacked(starts: Sequence[Array]) -> Array:
    return jnp.stack([start.astype("int64") for start in starts]) if starts else jnp.zeros(0, "int64")


def _gather_bounds(eqn: Eqn, values: Sequence[Array]) -> tuple[Array, np.ndarray]:
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    most = [values[0].shape[d] - sizes[d] for d in numbers.start_index_map]
    return values[1].astype("int64"), np.array(most, np.int64)


def _scatter_bounds(eqn: Eqn, values: Sequence[Array]) -> tuple[Array, np.ndarray]:
    numbers, operand, updates = eqn.params["dimension_numbers"], values[0], values[2]
    inserted = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    windowed = [d for d in range(operand.ndim) if d not in inserted]
    sizes = dict.fromkeys(inserted, 1)
    sizes.update(zip(windowed, (updates.shape[d] for d in numbers.update_window_dims), strict=True))
    most = [operand.shape[d] - sizes[d] for d in numbers.scatter_dims_to_operand_dims]
    return values[1].astype("int64"), np.array(most, np.int64)


#: name -> the starts of the windows, along the last axis those of each operand axis, and the greatest in bounds.
_BOUNDS: dict[str, Callable[[Eqn, Sequence[Array]], tuple[Array, np.ndarray]]] = {
    "dynamic_slice": _slice_bounds,
    "dynamic_update_slice": _update_bounds,
    "gather": _gather_bounds,
    **dict.fromkeys(("scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max"), _scatter_bounds),
}


# Running a Program with its checks


class _Checker:
    """Runs Programs under the current trace; each run takes and gives the state."""

    def __init__(self, sites: _Sites):
        self.sites = sites

    def run(self, program: Program, state: list[Array], args: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """The state and the results."""
        env: dict[Var, Array] = dict(zip(program.constvars, program.consts, strict=True))
        env.update(zip(program.invars, args, strict=True))

        def read(atom: Any) -> Array:
            return atom.array if isinstance(atom, Literal) else env[atom]

        for eqn in program.eqns:
            with blame(eqn.source):
                state, outs = self._equation(eqn, state, [read(atom) for atom in eqn.inputs])
            env.update(zip(eqn.outs, outs, strict=True))
        return state, [read(atom) for atom in program.outs]

    def _equation(self, eqn: Eqn, state: list[Array], values: list[Array]) -> tuple[list[Array], list[Array]]:
        if eqn.prim is check_p:
            return self._failed(eqn, "user", state, values[0], values[1:]), []
        if self.sites.inside(eqn):
            return self._higher_order(eqn, state, values)
        out = eqn.prim.bind(*values, **eqn.params)
        outs = list(out) if eqn.prim.multiple_results else [out]
        if self.sites.find(eqn, "div"):
            state = self._failed(eqn, "div", state, (values[1] != 0).all(), [])
        if self.sites.find(eqn, "index"):
            starts, most = _BOUNDS[eqn.prim.name](eqn, values)
            state = self._failed(eqn, "index", state, ((starts >= 0) & (starts <= most)).all(-1), [starts])
        if self.sites.find(eqn, "nan"):
            numbers = [jnp.isnan(x).any() for x in outs if dtypes.is_inexact(x.dtype)]
            state = self._failed(eqn, "nan", state, ~jnp.stack(numbers).any(), [])
        return state, outs

    def _failed(self, eqn: Eqn, kind: str, state: list[Array], ok: Array, values: Sequence[Array]) -> list[Array]:
        """The state after a check: the first axes of the values are those of `ok`."""
        found = self.sites.find(eqn, kind)
        if found is None or not ok.size:
            return state
        number, start = found
        is_first = (state[0] == 0) & ~ok.all()
        place = jnp.argmin(ok.reshape(-1))
        state = [jnp.where(is_first, number, state[0]).astype("int32"), *state[1:]]
        for position, value in enumerate(values, start):
            chosen = value.reshape(ok.size, *value.shape[ok.ndim :])[place]
            state[position] = jnp.where(is_first, chosen, state[position]).astype(state[position].dtype)
        return state

    def _higher_order(self, eqn: Eqn, state: list[Array], values: list[Array]) -> tuple[list[Array], list[Array]]:
        called = eqn.prim.call_program or eqn.prim.value_program
        if called:
            return self.run(eqn.params[called], state, values)
        if eqn.prim is scan_p:
            return self._scan(eqn.params, state, values)
        if eqn.prim is while_p:
            return self._while(eqn.params, state, values)
        if eqn.prim is cond_p:
            return self._cond(eqn.params, state, values)
        raise CheckError(f"checkify does not know how to look into {eqn.prim.name}", fix="leave it out of the function")

    def _checked(self, program: Program, state: list[Array], before: int) -> Program:
        """A Program that takes the state after `before` other arguments, and gives it before its results."""
        count = len(state)

        def function(*args: Array) -> list[Array]:
            given = [*args[:before], *args[before + count :]]
            after, outs = self.run(program, list(args[before : before + count]), given)
            return [*after, *outs]

        avals = [*program.in_avals[:before], *(x.aval for x in state), *program.in_avals[before:]]
        return stage(function, avals, program.name, "checkify")

    def _scan(self, params: dict, state: list[Array], values: list[Array]) -> tuple[list[Array], list[Array]]:
        consts, carry = params["sizes"].consts, params["sizes"].carry
        outs = scan_p.bind(
            *values[:consts], *state, *values[consts:], body=self._checked(params["body"], state, consts),
            length=params["length"], reverse=params["reverse"], sizes=ScanSizes(consts, carry + len(state)),
        )  # fmt: skip
        return outs[: len(state)], outs[len(state) :]

    def _cond(self, params: dict, state: list[Array], values: list[Array]) -> tuple[list[Array], list[Array]]:
        branches = tuple(self._checked(branch, state, 0) for branch in params["branches"])
        outs = cond_p.bind(values[0], *state, *values[1:], branches=branches)
        return outs[: len(state)], outs[len(state) :]

    def _while(self, params: dict, state: list[Array], values: list[Array]) -> tuple[list[Array], list[Array]]:
        """The condition is checked with the value that the loop starts from, and after each step."""
        cond, body, sizes = params["cond"], params["body"], params["sizes"]
        cond_consts, body_consts, carry = sizes.split(values)
        if self.sites.has(cond):
            state = self.run(cond, state, [*cond_consts, *carry])[0]
        count, first = len(state), sizes.cond + sizes.body

        def step(*args: Array) -> list[Array]:
            given, now, carried = args[:first], list(args[first : first + count]), args[first + count :]
            now, outs = self.run(body, now, [*given[sizes.cond :], *carried])
            if self.sites.has(cond):
                now = self.run(cond, now, [*given[: sizes.cond], *outs])[0]
            return [*now, *outs]

        state_avals, carry_avals = [x.aval for x in state], body.in_avals[sizes.body :]
        cond_avals, body_avals = cond.in_avals[: sizes.cond], body.in_avals[: sizes.body]

        def test(*args: Array) -> list[Array]:
            given = [*args[: sizes.cond], *args[sizes.cond + count :]]
            return self.run(cond, self.sites.no_error(), given)[1]

        test_avals = [*cond_avals, *state_avals, *carry_avals]
        step_avals = [*cond_avals, *body_avals, *state_avals, *carry_avals]
        checked_test = prune(stage(test, test_avals, cond.name, "checkify"))
        outs = while_p.bind(
            *cond_consts, *cond_consts, *body_consts, *state, *carry,
            cond=checked_test, body=stage(step, step_avals, body.name, "checkify"),
            sizes=WhileSizes(sizes.cond, first),
        )  # fmt: skip
        return outs[:count], outs[count:]
