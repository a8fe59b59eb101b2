"""From LLVM IR to machine code in memory: targets, code generation, the loader, and what native code finds outside."""

import contextlib
import ctypes
import gc
import re
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrx.compiler import avx512, llvm, runtime, targets
from nrx.compiler.loader import AARCH64, Image, Loaded
from nrx.compiler.pool_ir import pool_text
from nrx.compiler.python_ir import python_text
from nrx.compiler.targets import Target, describe, host, host_levels
from nrx.core.errors import BackendMissingError, CompilerError, ConfigError

pytest.importorskip("llvmlite")

SYSTEMS = ("linux", "macos", "windows")
EVERY_TARGET = [
    *(describe(f"x86-64{suffix}", system) for suffix in ("", "-v2", "-v3", "-v4", "-v4-bf16") for system in SYSTEMS),
    *(describe("aarch64", system) for system in SYSTEMS[:2]),
]
ALL_TARGETS = pytest.mark.parametrize("target", EVERY_TARGET, ids=lambda t: f"{t.name}-{t.system}")
ON_EACH_LEVEL = pytest.mark.parametrize("level", host_levels())
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WORD, POINTER = ctypes.c_int64, ctypes.c_void_p


def function(code: Loaded, name: str, result: Any, *arguments: Any) -> Any:
    found = ctypes.CFUNCTYPE(result, *arguments)(code.address(name))
    found.code = code  # keeps it in memory
    return found


# ---- targets --------------------------------------------------------------------------------------------------------


def test_host_is_the_highest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NRX_CPU", raising=False)
    assert host().name == host_levels()[-1]
    assert host().is_host
    monkeypatch.setenv("NRX_CPU", "native")
    assert host() == describe(host_levels()[-1])


@ON_EACH_LEVEL
def test_environment_chooses_the_level(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRX_CPU", level)
    assert host().name == level


def test_levels_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRX_CPU", "pentium")
    with pytest.raises(ConfigError, match="NRX_CPU=pentium is not a level of this processor"):
        host()
    with pytest.raises(ConfigError, match="no processor level named 'pentium'"):
        describe("pentium")
    with pytest.raises(BackendMissingError, match="no compiler for aarch64 processors under windows"):
        describe("aarch64", "windows")
    assert not describe("x86-64", "macos" if sys.platform != "darwin" else "linux").is_host


def test_a_processor_has_a_level_if_it_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_architecture", lambda: "x86_64")
    monkeypatch.setattr(targets, "_FEATURES", {**targets._FEATURES, **dict.fromkeys(targets._V3, True), "BMI2": False})
    levels = host_levels.__wrapped__
    assert levels() == ("x86-64", "x86-64-v2")
    monkeypatch.setitem(targets._FEATURES, "BMI2", True)
    monkeypatch.setitem(targets._FEATURES, "AVX512VL", False)
    assert levels() == ("x86-64", "x86-64-v2", "x86-64-v3")
    everything = dict.fromkeys(targets._V4, True)
    for features, flags, last in (
        ({**everything, "AVX512BF16": True}, [], "x86-64-v4-bf16"),
        ({**everything, "AVX512BF16": False}, [], "x86-64-v4"),
        (everything, [b"avx512_bf16"], "x86-64-v4-bf16" if sys.platform == "linux" else "x86-64-v4"),
        (everything, [b"avx512f"], "x86-64-v4"),
    ):  # fmt: skip
        monkeypatch.setattr(targets, "_FEATURES", features)
        monkeypatch.setattr(targets, "_flags", lambda flags=flags: flags)
        assert levels()[-1] == last
    monkeypatch.setattr(targets, "_architecture", lambda: "riscv64")
    assert levels() == ()


@ALL_TARGETS
def test_description_is_what_llvm_does(target: Target) -> None:
    assert str(llvm._machine(target).target_data) == target.data_layout
    lanes = target.vector_bits // 32
    vector = f"<{lanes} x float>"
    text = llvm.assembly(
        f"""declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
        define {vector} @add({vector} %x, {vector} %y) nounwind {{
          %z = fadd {vector} %x, %y
          ret {vector} %z
        }}
        define {vector} @fma({vector} %x, {vector} %y) nounwind {{
          %z = call {vector} @llvm.fma.v{lanes}f32({vector} %x, {vector} %y, {vector} %x)
          ret {vector} %z
        }}
        define {vector} @separate({vector} %x, {vector} %y) nounwind {{
          %p = fmul {vector} %x, %y
          %z = fadd {vector} %p, %x
          ret {vector} %z
        }}
        define {vector} @widen(<{lanes} x half> %x) nounwind {{
          %z = fpext <{lanes} x half> %x to {vector}
          ret {vector} %z
        }}""",
        target,
    )
    bodies = {name: text.split(f"\n{name}:")[1].split(".Lfunc_end")[0] for name in ("add", "fma", "separate", "widen")}
    if target.is_x86:
        register = {128: "%xmm", 256: "%ymm", 512: "%zmm"}[target.vector_bits]
        assert register in bodies["add"]
        assert bodies["add"].count("addps") == 1
        assert ("vfmadd" in bodies["fma"], "fmaf" in bodies["fma"]) == (target.has_fma, not target.has_fma)
        assert ("vcvtph2ps" in bodies["widen"]) == target.has_f16c
    else:
        expected = {"add": "fadd", "fma": "fmla", "widen": "fcvtl"}
        assert [name for name, instruction in expected.items() if instruction not in bodies[name]] == []
    assert not re.search("fma|fml", bodies["separate"])  # never contracted by itself


# ---- code generation ------------------------------------------------------------------------------------------------

REDUCTIONS = ("add", "and", "mul", "or", "smax", "smin", "umax", "umin", "xor")

#: Intrinsics by what they take and give; "v" is a vector of the type under test, "s" its element, "b" a vector of i1.
SIGNATURES = {
    "float": {
        "v v": "canonicalize ceil fabs floor nearbyint rint round roundeven sqrt trunc vector.reverse",
        "v v v": "copysign maximum maximumnum maxnum minimum minimumnum minnum",
        "v v v v": "fma fmuladd",
        "s v": "vector.reduce.fmax vector.reduce.fmaximum vector.reduce.fmin vector.reduce.fminimum",
        "s s v": "vector.reduce.fadd vector.reduce.fmul",
    },
    "int": {
        "v v": "bitreverse bswap ctpop",
        "v v v": "sadd.sat smax smin ssub.sat uadd.sat umax umin usub.sat",
        "v v v v": "fshl fshr",
        "v v i1": "abs ctlz cttz",
        "s v": " ".join(f"vector.reduce.{op}" for op in REDUCTIONS),
        "{v,b} v v": " ".join(f"{s}{op}.with.overflow" for s in "su" for op in ("add", "mul", "sub")),
    },
}


def intrinsic_calls(element: str, lanes: int) -> Iterator[str]:
    """Functions that call every intrinsic of SIGNATURES for vectors of a type."""
    kind = "int" if element[0] == "i" else "float"
    suffix = {"float": "f32", "double": "f64"}.get(element, element)
    meaning = {"v": f"<{lanes} x {element}>", "s": element, "b": f"<{lanes} x i1>", "i1": "i1"}
    meaning["{v,b}"] = f"{{{meaning['v']}, {meaning['b']}}}"
    for signature, names in SIGNATURES[kind].items():
        result, *operands = [meaning[part] for part in signature.split()]
        for name in names.split():
            if name == "bswap" and element == "i8":
                continue
            full = f"@llvm.{name}.v{lanes}{suffix}"
            given = ", ".join(f"{t} %x{k}" if t != "i1" else "i1 false" for k, t in enumerate(operands))
            taken = ", ".join(f"{t} %x{k}" for k, t in enumerate(operands) if t != "i1")
            yield f"declare {result} {full}({', '.join(operands)})\n"
            body = f"%r = call {result} {full}({given})\n ret {result} %r"
            yield f"define {result} @{name}.{suffix}({taken}) {{\n {body}\n}}\n"


MEMORY_CALLS = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare void @llvm.assume(i1)
declare i64 @llvm.readcyclecounter()
declare <8 x float> @llvm.masked.load.v8f32.p0(ptr, <8 x i1>, <8 x float>)
declare void @llvm.masked.store.v8f32.p0(<8 x float>, ptr, <8 x i1>)
declare <8 x float> @llvm.masked.gather.v8f32.v8p0(<8 x ptr>, <8 x i1>, <8 x float>)
declare void @llvm.masked.scatter.v8f32.v8p0(<8 x float>, <8 x ptr>, <8 x i1>)
declare <8 x float> @llvm.masked.expandload.v8f32(ptr, <8 x i1>, <8 x float>)
declare void @llvm.masked.compressstore.v8f32(<8 x float>, ptr, <8 x i1>)
declare <8 x i32> @llvm.fptosi.sat.v8i32.v8f32(<8 x float>)
declare <8 x i32> @llvm.fptoui.sat.v8i32.v8f32(<8 x float>)
declare <8 x i1> @llvm.is.fpclass.v8f32(<8 x float>, i32)
declare <8 x i32> @llvm.stepvector.v8i32()
declare <16 x float> @llvm.vector.interleave2.v16f32(<8 x float>, <8 x float>)
declare { <8 x float>, <8 x float> } @llvm.vector.deinterleave2.v16f32(<16 x float>)
declare <16 x float> @llvm.vector.insert.v16f32.v8f32(<16 x float>, <8 x float>, i64)
declare <8 x float> @llvm.vector.extract.v8f32.v16f32(<16 x float>, i64)
define i64 @memory(ptr %p, ptr %q, i64 %n, <8 x i1> %m, <8 x float> %x, <8 x ptr> %ps, <16 x float> %w) {
  call void @llvm.memcpy.p0.p0.i64(ptr %p, ptr %q, i64 %n, i1 false)
  call void @llvm.memmove.p0.p0.i64(ptr %p, ptr %q, i64 %n, i1 false)
  call void @llvm.memset.p0.i64(ptr %p, i8 0, i64 %n, i1 false)
  call void @llvm.prefetch.p0(ptr %p, i32 0, i32 3, i32 1)
  call void @llvm.assume(i1 true)
  %a = call <8 x float> @llvm.masked.load.v8f32.p0(ptr align 4 %p, <8 x i1> %m, <8 x float> %x)
  call void @llvm.masked.store.v8f32.p0(<8 x float> %a, ptr align 4 %q, <8 x i1> %m)
  %b = call <8 x float> @llvm.masked.gather.v8f32.v8p0(<8 x ptr> align 4 %ps, <8 x i1> %m, <8 x float> %x)
  call void @llvm.masked.scatter.v8f32.v8p0(<8 x float> %b, <8 x ptr> align 4 %ps, <8 x i1> %m)
  %c = call <8 x float> @llvm.masked.expandload.v8f32(ptr %p, <8 x i1> %m, <8 x float> %x)
  call void @llvm.masked.compressstore.v8f32(<8 x float> %c, ptr %p, <8 x i1> %m)
  %d = call <8 x i32> @llvm.fptosi.sat.v8i32.v8f32(<8 x float> %x)
  %e = call <8 x i32> @llvm.fptoui.sat.v8i32.v8f32(<8 x float> %x)
  %f = call <8 x i1> @llvm.is.fpclass.v8f32(<8 x float> %x, i32 3)
  %g = call <8 x i32> @llvm.stepvector.v8i32()
  %h = call <16 x float> @llvm.vector.interleave2.v16f32(<8 x float> %x, <8 x float> %a)
  %i = call { <8 x float>, <8 x float> } @llvm.vector.deinterleave2.v16f32(<16 x float> %w)
  %j = call <16 x float> @llvm.vector.insert.v16f32.v8f32(<16 x float> %w, <8 x float> %x, i64 8)
  %k = call <8 x float> @llvm.vector.extract.v8f32.v16f32(<16 x float> %w, i64 8)
  store <8 x i32> %d, ptr %p
  store <8 x i32> %e, ptr %q
  store <8 x i1> %f, ptr %p
  store <8 x i32> %g, ptr %q
  store <16 x float> %h, ptr %p
  store { <8 x float>, <8 x float> } %i, ptr %p
  store <16 x float> %j, ptr %p
  store <8 x float> %k, ptr %p
  %t = call i64 @llvm.readcyclecounter()
  ret i64 %t
}
"""


@ALL_TARGETS
def test_allowed_intrinsics_have_machine_code(target: Target) -> None:
    for element in ("i8", "i16", "i32", "i64", "float", "double"):
        llvm.assemble("".join(intrinsic_calls(element, 8)), target)
    llvm.assemble(MEMORY_CALLS, target)


def test_each_allowed_intrinsic_is_tested() -> None:
    tested = {name for names in SIGNATURES.values() for row in names.values() for name in row.split()}
    texts = [MEMORY_CALLS, *(pool_text(target) for target in EVERY_TARGET)]
    tested |= {name for name in llvm.INTRINSICS if any(f"@llvm.{name}" in text for text in texts)}
    tested |= avx512.INTRINSICS  # by test_mathlib.py
    assert llvm.INTRINSICS - tested == set()


def test_rejected_text() -> None:
    with pytest.raises(CompilerError, match=r"use of undefined value '%y'(.|\n)*in line 2: ret i64 %y"):
        llvm.assemble("define i64 @f(i64 %x) {\n  ret i64 %y\n}", host())
    with pytest.raises(CompilerError, match="does not dominate all uses"):
        llvm.assemble(
            "define i64 @f() {\n br label %a\nb:\n %x = add i64 1, 2\n br label %a\na:\n ret i64 %x\n}", host()
        )
    for name in ("exp.f32", "nvvm.ex2.approx.f", "fmax.f32", "sqrtx.v4f32"):
        text = f"declare float @llvm.{name}(float)\ndefine float @f(float %x) {{\n ret float %x\n}}"
        with pytest.raises(CompilerError, match=f"llvm.{name} is not an intrinsic"):
            llvm.assemble(text, host())


def test_without_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    with pytest.raises(BackendMissingError, match="llvmlite cannot be imported"):
        llvm._binding.__wrapped__()


def test_version_is_llvmlites() -> None:
    import llvmlite

    assert llvm.version() == llvmlite.__version__


def test_linked_texts() -> None:
    declaration = "declare i64 @llvm.smax.i64(i64, i64)"
    part = """@table = private constant [2 x i64] [i64 {0}, i64 {1}]
define i64 @kernel(i64 %i) nounwind {{
  %p = getelementptr i64, ptr @table, i64 %i
  %x = load i64, ptr %p
  %y = call i64 @llvm.smax.i64(i64 %x, i64 0)
  ret i64 %y
}}"""
    entry = """define i64 @entry(i64 %i) nounwind {
  %a = call i64 @kernel1(i64 %i)
  %b = call i64 @kernel10(i64 %i)
  %c = mul i64 %a, %b
  ret i64 %c
}"""
    parts = [(name, f"{declaration}\n{part.format(*numbers)}") for name, numbers in
             [("kernel1", (3, 5)), ("kernel10", (7, 11))]]  # fmt: skip
    text = llvm.link_texts([*parts, ("entry", entry)])
    assert text.count(declaration) == 1
    code = Loaded(llvm.assemble(text, host()))
    assert [function(code, "entry", WORD, WORD)(i) for i in range(2)] == [21, 55]
    with pytest.raises(CompilerError, match="without a function kernel1"):
        code.address("kernel1")


# ---- the loader -----------------------------------------------------------------------------------------------------

SAMPLE = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
@table = private unnamed_addr constant [4 x i32] [i32 11, i32 22, i32 33, i32 44]
define internal i32 @hidden(i64 %i) nounwind {
  %p = getelementptr i32, ptr @table, i64 %i
  %x = load i32, ptr %p
  ret i32 %x
}
define i32 @look_up(i64 %i) nounwind {
  %x = call i32 @hidden(i64 %i)
  ret i32 %x
}
define ptr @where() nounwind { ret ptr @table }
define ptr @itself() nounwind { ret ptr @itself }
define i32 @choose(i32 %i) nounwind {
  switch i32 %i, label %d [i32 0, label %a i32 1, label %b i32 2, label %c i32 3, label %e i32 4, label %f]
a: ret i32 10
b: ret i32 25
c: ret i32 37
d: ret i32 11
e: ret i32 19
f: ret i32 92
}
define void @combine(ptr %x, ptr %y, i64 %n) nounwind {
  %a = load <4 x float>, ptr %x
  %b = fadd <4 x float> %a, <float 1.0, float 2.0, float 3.0, float 4.0>
  %c = call <4 x float> @llvm.fma.v4f32(<4 x float> %b, <4 x float> %a, <4 x float> %b)
  store <4 x float> %c, ptr %x
  call void @llvm.memcpy.p0.p0.i64(ptr %y, ptr %x, i64 %n, i1 false)
  ret void
}
"""


@ON_EACH_LEVEL
def test_loaded_code_runs(level: str) -> None:
    code = Loaded(llvm.assemble(SAMPLE, describe(level)))
    assert [function(code, "look_up", ctypes.c_int32, WORD)(i) for i in range(4)] == [11, 22, 33, 44]
    choose = function(code, "choose", ctypes.c_int32, ctypes.c_int32)
    assert [choose(i) for i in range(-1, 6)] == [11, 10, 25, 37, 19, 92, 11]
    assert function(code, "itself", POINTER)() == code.address("itself")
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    function(code, "combine", None, POINTER, POINTER, WORD)(x.ctypes.data, y.ctypes.data, 16)
    np.testing.assert_array_equal(y, [1.0, 6.0, 15.0, 28.0])  # (x + [1 2 3 4]) * (x + 1)


def test_symbols_from_outside() -> None:
    text = """
    declare i64 @outside(i64)
    @place = external global i64
    define i64 @f(i64 %x) {
      %y = call i64 @outside(i64 %x)
      %z = load i64, ptr @place
      %w = add i64 %y, %z
      ret i64 %w
    }"""
    made = llvm.assemble(text, host())
    with pytest.raises(CompilerError, match="calls what is not there: outside, place"):
        Loaded(made)
    double, number = ctypes.CFUNCTYPE(WORD, WORD)(lambda x: 2 * x), WORD(5)
    address = ctypes.cast(double, POINTER).value
    assert address is not None
    code = Loaded(made, {"outside": address, "place": ctypes.addressof(number)})
    assert function(code, "f", WORD, WORD)(21) == 47


@pytest.mark.parametrize("system", ["linux", "macos"])
def test_addresses_in_arm_instructions(system: str) -> None:
    """Decoded as the Arm Architecture Reference Manual has ADRP, ADD and LDR of immediates, BL and LDR of literals."""
    image = Image(llvm.assemble(SAMPLE, describe("aarch64", system)))
    assert image.machine == AARCH64
    base, outside = 0x12345000, {"memcpy": 0x7F0012345678}
    code = image.relocated(base, outside)

    def instructions(name: str) -> Iterator[tuple[int, int]]:
        at = image.functions[name]
        while (word := struct.unpack_from("<I", code, at)[0]) != 0xD65F03C0:  # ret
            yield base + at, word
            at += 4

    def page_and_offset(name: str) -> int:
        pages = {}
        for at, word in instructions(name):
            if word >> 31 and (word >> 24) & 0x1F == 0b10000:
                high = (word >> 5) & 0x7FFFF
                distance = (high - (1 << 19) * (high >> 18)) << 2 | (word >> 29) & 3
                pages[word & 31] = (at & ~0xFFF) + (distance << 12)
            elif word >> 22 == 0b1001000100:  # add of an immediate
                return pages[(word >> 5) & 31] + ((word >> 10) & 0xFFF)
            elif word >> 22 == 0b1111100101:  # load of 8 bytes
                return struct.unpack_from("<Q", code, pages[(word >> 5) & 31] + ((word >> 10) & 0xFFF) * 8 - base)[0]
        raise AssertionError(name)

    assert struct.unpack_from("<4i", code, page_and_offset("where") - base) == (11, 22, 33, 44)
    assert page_and_offset("itself") == base + image.functions["itself"]
    calls = [(at, word) for at, word in instructions("combine") if word >> 26 in (0b100101, 0b000101)]
    ((at, word),) = calls
    distance = word & 0x3FFFFFF
    jump = at + 4 * (distance - (1 << 26) * (distance >> 25)) - base
    assert struct.unpack_from("<IIQ", code, jump) == (0x58000050, 0xD61F0200, outside["memcpy"])


def test_code_for_another_processor_is_not_loaded() -> None:
    foreign = "aarch64" if host().is_x86 else "x86-64"
    with pytest.raises(CompilerError, match="for another processor"):
        Loaded(llvm.assemble(SAMPLE, describe(foreign, "linux")))


def test_writable_data_is_not_loaded() -> None:
    with pytest.raises(CompilerError, match=r"with a section .data"):
        Loaded(llvm.assemble("@state = global i64 7", host()))
    with pytest.raises(CompilerError, match=r"with a section .bss"):
        Loaded(llvm.assemble("@state = global i64 0", host()))


OBJECT = llvm.assemble(SAMPLE, host())


@given(st.lists(st.tuples(st.integers(0, len(OBJECT) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers())
def test_damaged_objects_are_loaded_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(OBJECT)
    for at, value in changes:
        damaged[at] = value
    for file in (bytes(damaged), bytes(damaged[: length % len(OBJECT)])):
        with contextlib.suppress(CompilerError):
            Loaded(file)


@ON_LINUX
def test_code_is_freed() -> None:
    def mappings() -> int:
        return Path("/proc/self/maps").read_text(encoding="ascii").count("r-xp")

    kept = [Loaded(OBJECT) for _ in range(3)]
    gc.collect()
    before = mappings()
    for _ in range(1000):
        Loaded(OBJECT)
    assert mappings() <= before + 3
    assert kept[0].address("where") != kept[1].address("where")


def test_compiling_in_threads() -> None:
    results: list[int] = []

    def compile_one(number: int) -> None:
        code = Loaded(llvm.assemble(f"define i64 @f() {{ ret i64 {number} }}", host()))
        results.append(function(code, "f", WORD)())

    threads = [threading.Thread(target=compile_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(8))


# ---- what native code finds outside ---------------------------------------------------------------------------------


def words_of(table: runtime.RuntimeTable, count: int) -> list[int]:
    return list((WORD * count).from_address(table.address))


def call_host(table: runtime.RuntimeTable, number: int, *words: int) -> int:
    given = (WORD * len(words))(*words)
    host = ctypes.CFUNCTYPE(WORD, WORD, POINTER)(words_of(table, 16)[4])
    return host(number, ctypes.addressof(given))


def test_host_functions() -> None:
    seen: list[list[int]] = []

    def fail(words: int) -> None:
        raise KeyError("from the host")

    table = runtime.RuntimeTable([1234], [lambda words: seen.append(list((WORD * 2).from_address(words))), fail])
    constant, good, bad = words_of(table, 19)[16:]
    assert constant == 1234
    assert call_host(table, good, 5, 6) == 0
    assert seen == [[5, 6]]
    assert call_host(table, bad) == 1
    with pytest.raises(KeyError, match="from the host") as raised:
        runtime.raise_pending()
    assert raised.traceback[-1].name == "fail"
    del table, raised
    gc.collect()
    assert not {good, bad}.intersection(runtime._host_functions)


def test_exceptions_belong_to_their_thread() -> None:
    def fail(words: int) -> None:
        barrier.wait(timeout=60)
        raise ValueError(threading.current_thread().name)

    def run() -> None:
        status = call_host(table, number)
        barrier.wait(timeout=60)
        try:
            runtime.raise_pending()
        except ValueError as error:
            caught.append((status, str(error) == threading.current_thread().name))

    barrier, caught = threading.Barrier(4), []
    table = runtime.RuntimeTable(functions=[fail])
    number = words_of(table, 17)[16]
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caught == [(1, True)] * 4


def test_nothing_pending() -> None:
    with pytest.raises(CompilerError, match="cut in two by a fork"):
        runtime.raise_pending()


class AlarmError(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_signals_reach_native_loops() -> None:
    text = """
    declare i64 @llvm.readcyclecounter()
    define i64 @wait(ptr %table, i64 %limit) nounwind {
    start:
      %poll_at = getelementptr i64, ptr %table, i64 5
      %poll = load ptr, ptr %poll_at
      br label %loop
    loop:
      %i = phi i64 [ 0, %start ], [ %j, %loop ]
      %j = add i64 %i, 1
      %status = call i64 %poll()
      %fine = icmp eq i64 %status, 0
      %more = icmp ult i64 %j, %limit
      %again = and i1 %fine, %more
      br i1 %again, label %loop, label %end
    end:
      ret i64 %status
    }"""

    def ring(*_: Any) -> None:
        raise AlarmError

    table = runtime.RuntimeTable()
    wait = function(Loaded(llvm.assemble(text, host())), "wait", WORD, POINTER, WORD)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert wait(table.address, 1 << 40) == 1
        with pytest.raises(AlarmError):
            runtime.raise_pending()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert wait(table.address, 10) == 0


@ALL_TARGETS
def test_runtime_has_machine_code_for_every_system(target: Target) -> None:
    image = Image(llvm.assemble(pool_text(target) + python_text(), target))
    assert {"parfor", "worker", "stop", "host", "poll", "look", "ticks_per_second"} <= image.functions.keys()
