"""An interpreter of planned Programs: the compiler's passes without code generation, kernels by `loop_interpreter`."""

from collections.abc import Sequence

import numpy as np

from nrx.compiler.plan import Block, Control, Host, Move, Place, Run, Shared
from nrx.core.dtypes import from_short_name
from nrx.core.loops import Kernel, Repeat, Scan
from nrx.core.program import Program
from tests.loop_interpreter import run as run_kernel

Bytes = np.ndarray


def run_program(program: Program, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a Program whose constants are arguments."""
    shared = Shared()
    block = shared.block(program)
    outs = [np.zeros(out.aval.shape, out.aval.dtype) for out in block.program.outs]
    inputs = [np.ascontiguousarray(x).reshape(-1).view(np.uint8).copy() for x in arrays]
    memory = [np.zeros(out.nbytes, np.uint8) for out in outs]
    _Interpreter(shared).run(block, inputs, memory, np.full(block.temporary_bytes, 0xCD, np.uint8))
    return [m.view(out.dtype).reshape(out.shape) for m, out in zip(memory, outs, strict=True)]


class _Interpreter:
    def __init__(self, shared: Shared):
        self.shared = shared

    def run(self, block: Block, inputs: Sequence[Bytes], outs: Sequence[Bytes], memory: Bytes) -> None:
        def at(place: Place) -> Bytes:
            if place.kind == "temporary":
                return memory[place.number + place.offset :]
            if place.kind == "constant":
                constant = self.shared.constants[place.number].numpy()
                return np.atleast_1d(constant).reshape(-1).view(np.uint8)[place.offset :]
            if place.kind == "watch":
                return np.zeros(16, np.uint8)
            return (inputs if place.kind == "in" else outs)[place.number][place.offset :]

        for action in block.actions:
            if isinstance(action, Run):
                self.launch(action.kernel, [at(place) for place in action.places])
            elif isinstance(action, Move):
                at(action.target)[: action.nbytes] = at(action.source)[: action.nbytes].copy()
            elif isinstance(action, Host):
                self.host(action, [at(place) for place in action.places])
            else:
                self.control(action, [at(p) for p in action.inputs], [at(p) for p in action.outs])

    def launch(self, kernel: Kernel, memory: list[Bytes]) -> None:
        dtypes = [from_short_name(buffer.type) for buffer in kernel.buffers]
        whole = [raw[: raw.size // d.itemsize * d.itemsize] for raw, d in zip(memory, dtypes, strict=True)]
        run_kernel(kernel, [raw.view(d) for raw, d in zip(whole, dtypes, strict=True)])

    def host(self, action: Host, memory: list[Bytes]) -> None:
        eqn = self.shared.host_calls[action.number]
        atoms = [*eqn.inputs, *eqn.outs]
        arrays = [
            m[: a.aval.size * a.aval.dtype.itemsize].view(a.aval.dtype).reshape(a.aval.shape)
            for m, a in zip(memory, atoms, strict=True)
        ]
        count = len(eqn.inputs)
        with np.errstate(all="ignore"):
            out = eqn.prim.impl(np, *arrays[:count], **eqn.params)
        for target, value in zip(arrays[count:], out if eqn.prim.multiple_results else [out], strict=True):
            target[...] = value

    def control(self, action: Control, inputs: list[Bytes], outs: list[Bytes]) -> None:
        rule = action.rule
        if isinstance(rule, Scan):
            first, count = rule.consts, rule.carry
        elif isinstance(rule, Repeat):
            first, count = rule.cond_consts + rule.body_consts, len(rule.body.outs)
        else:
            which = min(max(int(inputs[0][:4].view(np.int32)[0]), 0), len(action.blocks) - 1)
            block = action.blocks[which]
            self.run(block, inputs[1:], outs, np.full(block.temporary_bytes, 0xCD, np.uint8))
            return
        body = action.blocks[-1]
        for k in range(count):
            outs[k][: action.out_bytes[k]] = inputs[first + k][: action.out_bytes[k]].copy()
        current = list(outs[:count])
        other = [o if k in body.overwrites else np.zeros(action.room[k], np.uint8) for k, o in enumerate(current)]
        inner = np.full(max(b.temporary_bytes for b in action.blocks) + 1, 0xCD, np.uint8)
        if isinstance(rule, Scan):
            for step in range(rule.length)[:: -1 if rule.reverse else 1]:
                sliced = [
                    m[step * (n // rule.length) :]
                    for m, n in zip([*inputs[first + count :], *outs[count:]],
                                    [*action.in_bytes[first + count :], *action.out_bytes[count:]], strict=True)
                ]  # fmt: skip
                xs = len(inputs) - first - count
                self.run(body, [*inputs[:first], *current, *sliced[:xs]], [*other, *sliced[xs:]], inner)
                current, other = other, current
        else:
            flag = np.zeros(1, np.uint8)
            while True:
                self.run(action.blocks[0], [*inputs[: rule.cond_consts], *current], [flag], inner)
                if not flag[0]:
                    break
                self.run(body, [*inputs[rule.cond_consts : first], *current], other, inner)
                current, other = other, current
        for k in range(count):
            outs[k][: action.out_bytes[k]] = current[k][: action.out_bytes[k]].copy()
