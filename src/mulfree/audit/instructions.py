"""The audit at the level of machine instructions: the native kernels are disassembled and every instruction classed.

Kernels are the symbols whose namespace is ``mulfree::<target>``, as the build compiles each kernel source once
per target. Additions, comparisons, conversions and integer instructions are allowed; a floating-point product,
quotient, fused multiply-add, root or reciprocal is not, nor is a call of a mathematical library function.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mulfree.audit.disassembly import Instruction, disassemble

TARGETS: Final = ("baseline", "avx2", "avx512", "wide")

FORBIDDEN: Final = frozenset((
    "float multiply", "float divide", "fused multiply-add", "square root", "reciprocal", "x87", "library call",
    "matrix multiply", "special function",
))  # fmt: skip
"""Classes that no kernel may contain."""

# Class of an instruction: the first one with a pattern that matches the whole mnemonic, in either x86 syntax.
_FLOAT = r"(?:[ps][sdh]|pbf16|bf16)"
_X86: Final = {
    "fused multiply-add": (
        rf"v4?fn?m(?:add|sub|addsub|subadd)(?:132|213|231)?(?:ne)?{_FLOAT}",
        rf"vfc?maddc{_FLOAT}",
        rf"v?dp{_FLOAT}",
        r"vdpbf16ps|vdpphps",
    ),
    "float multiply": (rf"v?mul(?:ne)?{_FLOAT}", rf"vfc?mulc{_FLOAT}", rf"vscalef{_FLOAT}", rf"vexp2{_FLOAT}"),
    "float divide": (rf"v?div(?:ne)?{_FLOAT}",),
    "square root": (rf"v?sqrt(?:ne)?{_FLOAT}",),
    "reciprocal": (rf"v?r(?:cp|sqrt)(?:14|28)?{_FLOAT}",),
    "x87": (
        r"fi?(?:mul|divr?)[spl]?",
        r"f(?:sqrt|scale|2xm1|yl2x|yl2xp1|prem|prem1|tan|ptan|patan|sin|cos|sincos)",
    ),
    "float add": (rf"v?h?(?:add|sub|addsub)(?:ne)?{_FLOAT}", r"fi?(?:add|subr?)[spl]?"),
    "compare": (rf"v?cmp\w*{_FLOAT}", rf"v?u?comi{_FLOAT}", rf"v?(?:min|max|range){_FLOAT}"),
    "convert": (r"v?cvt\w+", rf"v?(?:round|rndscale|getexp|getmant|reduce){_FLOAT}"),
    "integer multiply": (r"v?pmul\w+|v?pmadd\w+|vpdp\w+", r"i?mul[bwlq]?|mulx[lq]?"),
    "integer divide": (r"i?div[bwlq]?",),
    "integer add": (r"v?p(?:add|sub|hadd|hsub)\w+", r"(?:add|sub|adc|sbb|inc|dec|neg|lea|adcx|adox)[bwlq]?"),
}
_ARM: Final = {
    "fused multiply-add": (r"fn?m(?:la|ls|add|sub|lal|lsl)\w*", r"fmmla|fcmla|ftmad", r"bf(?:dot|mmla|mla\w*|mls\w*)"),
    "float multiply": (r"b?fn?mulx?", r"fscale|ftsmul|fexpa"),
    "float divide": (r"fdivr?",),
    "square root": (r"fsqrt",),
    "reciprocal": (r"fr(?:ecp|sqrt)[esx]",),
    "float add": (r"b?f(?:add|sub)", r"f(?:subr|addp|adda|addv|abd|cadd)"),
    "compare": (r"f(?:cmp|ccmp|cm|ac|min|max)\w*",),
    "convert": (r"(?:fcvt|scvtf|ucvtf|frint|bfcvt)\w*",),
    "integer multiply": (r"[us]?m(?:ul|la|ls|add|sub|neg|addl|subl|ull|lal|lsl|ulh)2?", r"[us]dot"),
    "integer divide": (r"[us]div",),
    "integer add": (r"[us]?(?:add|sub|adc|sbc|neg)\w*",),
}
_CLASSES: Final = {
    machine: {name: re.compile("|".join(patterns)) for name, patterns in classes.items()}
    for machine, classes in (("x86_64", _X86), ("aarch64", _ARM))
}
_MATHEMATICS: Final = re.compile(
    r"(?:sqrt|cbrt|pow|exp|exp2|exp10|expm1|log|log2|log10|log1p|fma|ldexp|scalbl?n|sin|cos|tan|sinh|cosh|tanh|a?tan2?|"
    r"asin|acos|erfc?|[lt]gamma|hypot|fmod|remainder|fdim)[fl]?|__(?:mul|div)[sdt]f3"
)


@dataclass(frozen=True)
class Violation:
    """A forbidden instruction: its class, the (mangled) symbol it is in, and its text."""

    kind: str
    symbol: str
    text: str


@dataclass(frozen=True)
class TargetReport:
    """What the kernels of one target consist of: numbers of symbols, of instructions, and of each class.

    ``kernels`` has the classes by kernel (``kernel_of``).
    """

    target: str
    symbols: int
    instructions: int
    classes: Mapping[str, int]
    kernels: Mapping[str, Mapping[str, int]]
    violations: tuple[Violation, ...]


def classify_instruction(machine: str, mnemonic: str, operands: str = "") -> str:
    """Class of one instruction on ``machine`` ("x86_64" or "aarch64"); "other" for moves, logic, jumps and the like."""
    if mnemonic in ("call", "callq", "jmp", "jmpq", "bl", "b"):
        callee = re.search(r"<([^>@+]+)@(?:plt|got)", operands, re.IGNORECASE)
        return "library call" if callee and _MATHEMATICS.fullmatch(callee[1]) else "other"
    for name, pattern in _CLASSES[machine].items():
        if pattern.fullmatch(mnemonic):
            return name
    return "other"


def target_of(symbol: str) -> str | None:
    """The target whose namespace the mangled ``symbol`` lies in or is instantiated with; None for other symbols."""
    found = re.search(r"7mulfree(?:8(baseline)|4(avx2)|6(avx512)|4(wide))", symbol)
    return found[found.lastindex] if found and found.lastindex else None


def kernel_of(symbol: str) -> str:
    """Name of the function or class that follows the target's namespace in the mangled ``symbol``.

    Instantiations, clones and lambdas of one function go by one name. "other" where the target occurs only as an
    argument of something else, such as the standard library's sort.
    """
    found = re.match(r"_Z[A-Z]*N?K?(?:ZN)?7mulfree(?:8baseline|4avx2|6avx512|4wide)(?:12_GLOBAL__N_1)?(\d+)", symbol)
    if not found:
        return "other"
    return symbol[found.end() : found.end() + int(found[1])]


def inspect(machine: str, instructions: Iterable[Instruction]) -> tuple[TargetReport, ...]:
    """Class the instructions of all kernel symbols; one report per target that occurs."""
    symbols: dict[str, set[str]] = {}
    classes: dict[str, Counter[str]] = {}
    kernels: dict[str, dict[str, Counter[str]]] = {}
    violations: dict[str, list[Violation]] = {}
    for instruction in instructions:
        target = target_of(instruction.symbol)
        if target is None:
            continue
        kind = classify_instruction(machine, instruction.mnemonic, instruction.operands)
        symbols.setdefault(target, set()).add(instruction.symbol)
        classes.setdefault(target, Counter())[kind] += 1
        by_kernel = kernels.setdefault(target, {})
        by_kernel.setdefault(kernel_of(instruction.symbol), Counter())[kind] += 1
        if kind in FORBIDDEN:
            text = f"{instruction.mnemonic} {instruction.operands}".strip()
            violations.setdefault(target, []).append(Violation(kind, instruction.symbol, text))
    return tuple(
        TargetReport(
            target=target,
            symbols=len(symbols[target]),
            instructions=classes[target].total(),
            classes=dict(classes[target]),
            kernels={kernel: dict(counts) for kernel, counts in kernels[target].items()},
            violations=tuple(violations.get(target, ())),
        )
        for target in TARGETS
        if target in symbols
    )


def inspect_library(path: Path) -> tuple[TargetReport, ...]:
    """Disassemble the shared library at ``path`` and class the instructions of its kernels.

    Raises:
        DisassemblerError: there is no disassembler, it failed, or the file is for an unknown machine.
    """
    machine, instructions = disassemble(path, lambda symbol: target_of(symbol) is not None)
    return inspect(machine, instructions)


def kernel_library() -> Path | None:
    """File of the native CPU kernels, or None where they were not built. Loads nothing."""
    found = importlib.util.find_spec("mulfree.backends._cpu")
    return Path(found.origin) if found and found.origin else None
