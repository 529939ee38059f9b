"""Multiplications of Python numbers, found in the source code.

Operations of PyTorch are seen while they run (``context``); arithmetic on Python floats is not. So the source of
code that computes scalars (optimizers, schedules) is read: every ``*``, ``/``, ``**``, ``//``, ``%`` and ``@``, and
every function of ``math`` that needs one, is a finding unless its operands are known to be whole numbers (``/`` is
one even then), fractions, ``numerics.number.PA`` or, for ``*`` and ``%``, sequences. An operator with a tensor is an
operation of PyTorch. What is not known is a finding: the reader trusts annotations, which a type checker confirms, and
guesses nothing.
"""
# A function here has a case for each form of the syntax tree.
# ruff: noqa: PLR0911, PLR0912

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mulfree.audit.kinds import Kind, annotated, is_free, joined, of_operation


@dataclass(frozen=True)
class ScalarFinding:
    """A place where Python numbers are or may be multiplied."""

    path: str
    line: int
    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code}: {self.reason}"


_OPERATORS: dict[type[ast.operator], str] = {
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.MatMult: "@",
}
_FREE_MATH = frozenset((
    "prod", "inf", "nan", "isinf", "isnan", "isfinite", "isclose", "copysign", "floor", "ceil", "trunc", "fsum", "gcd",
    "lcm", "isqrt", "comb", "frexp", "ldexp", "nextafter",
))  # fmt: skip
_MULTIPLYING_CALLS = frozenset({"pow", "divmod"})
_MODULES = frozenset({"math", "cmath", "operator", "statistics", "numpy"})
_INT_CALLS = frozenset({"len", "int", "ord", "id", "hash", "round"})
_INT_METHODS = frozenset((
    "bit_length", "bit_count", "numel", "nelement", "dim", "ndimension", "element_size", "data_ptr", "storage_offset",
    "index", "count", "get_device",
))  # fmt: skip
_INT_ATTRIBUTES = frozenset({"ndim", "itemsize", "word"})
_INTS_ATTRIBUTES = frozenset({"shape"})
_INTS_METHODS = frozenset({"stride", "as_integer_ratio"})
_SAME_KIND_CALLS = frozenset({"min", "max", "sum", "abs"})
_TENSOR_CALLS = frozenset(("sigmoid", "tanh", "tensor"))
_MOST_ROUNDS = 20


def scalar_multiplications(*paths: Path) -> list[ScalarFinding]:
    """Findings in files of Python source and in all such files below folders."""
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [finding for file in files for finding in _Reader(file).findings()]


@lru_cache(maxsize=256)
def _exports(file: Path) -> dict[str, Kind]:
    """Kinds of a module's constants, and of what its functions return under the name with ``()``."""
    return _Reader(file, imports=False).module


class _Reader:
    """One file."""

    def __init__(self, file: Path, imports: bool = True) -> None:
        self.file = file
        self.source = file.read_text()
        self.tree = ast.parse(self.source, str(file))
        self.module: dict[str, Kind] = {}
        self.submodules: dict[str, dict[str, Kind]] = {}
        self.attributes: dict[str, Kind] = {}
        self.shadowed = _bound_names(self.tree)
        if imports:
            self._read_imports()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                self.module[f"{node.name}()"] = annotated(node.returns)
        self.module |= self._names(self.tree, self.module)
        if imports:
            self._read_attributes()

    def _read_imports(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    own = alias.asname or alias.name
                    if origin := self._origin(node.module):
                        exports = _exports(origin)
                        for suffix in ("", "()"):
                            self.module[own + suffix] = exports.get(alias.name + suffix, Kind.UNKNOWN)
                    elif origin := self._origin(f"{node.module}.{alias.name}"):
                        self.submodules[own] = _exports(origin)

    def _origin(self, module: str) -> Path | None:
        """The file of a module that lies in the same tree."""
        path = Path(*module.split(".")).with_suffix(".py")
        return next((folder / path for folder in self.file.resolve().parents if (folder / path).is_file()), None)

    def _read_attributes(self) -> None:
        """Attributes of ``self``: one kind for a name in the whole file."""
        found: dict[str, list[Kind]] = {}
        for owner in (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)):
            for field in owner.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    found.setdefault(field.target.id, []).append(annotated(field.annotation))
            for method in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
                names = self.module | self._names(method, self.module)
                for node in ast.walk(method):
                    if isinstance(node, ast.Assign):
                        for target in node.targets:
                            if isinstance(target, ast.Attribute):
                                found.setdefault(target.attr, []).append(self.kind(node.value, names))
                    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
                        found.setdefault(node.target.attr, []).append(annotated(node.annotation))
        self.attributes = {name: joined(kinds) for name, kinds in found.items()}

    def findings(self) -> Iterator[ScalarFinding]:
        yield from self._inspect(self.tree, self.module)

    def _inspect(self, scope: ast.AST, names: dict[str, Kind]) -> Iterator[ScalarFinding]:
        for node in _inside(scope):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                yield from self._inspect(node, names | self._names(node, names))
            elif (reason := self._reason(node, names)) is not None:
                code = ast.get_source_segment(self.source, node) or ast.unparse(node)
                yield ScalarFinding(str(self.file), getattr(node, "lineno", 0), " ".join(code.split()), reason)

    def _reason(self, node: ast.AST, names: dict[str, Kind]) -> str | None:
        match node:
            case ast.BinOp(left=left, op=op, right=right) | ast.AugAssign(target=left, op=op, value=right):
                if type(op) not in _OPERATORS:
                    return None
                a, b = self.kind(left, names), self.kind(right, names)
                if is_free(op, a, b) and not (isinstance(op, ast.Pow) and _is_negative(right)):
                    return None
                return f"{_OPERATORS[type(op)]} of {a.value} and {b.value}"
            case ast.Call(func=ast.Name(id="float"), args=[argument]) if self.kind(argument, names) is Kind.FRACTION:
                return "float() divides a fraction"
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _MULTIPLYING_CALLS - self.shadowed:
                kinds = [self.kind(argument, names) for argument in arguments]
                return None if set(kinds) == {Kind.INT} else f"{name}() of {' and '.join(kind.value for kind in kinds)}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr="prod"), args=[argument]):
                kind = self.kind(argument, names)
                return None if kind is Kind.INTS else f"math.prod() of {kind.value}"
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in _MODULES and attr not in _FREE_MATH:
                return f"{module}.{attr} may multiply"
            case ast.ImportFrom(module=module, names=imported) if module in _MODULES:
                if any(alias.name not in _FREE_MATH for alias in imported):
                    return f"functions of {module} may multiply"
            case ast.Import(names=imported):
                hidden = [alias.name for alias in imported if alias.name in _MODULES and alias.asname]
                return f"{hidden[0]} under another name" if hidden else None
        return None

    def _names(self, scope: ast.AST, outer: dict[str, Kind]) -> dict[str, Kind]:
        """Kinds of the names that a module or function binds."""
        arguments: dict[str, Kind] = {}
        if isinstance(scope, ast.FunctionDef | ast.Lambda):
            listed = (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)
            arguments = {argument.arg: annotated(argument.annotation) for argument in listed}
            if scope.args.vararg:
                kind = annotated(scope.args.vararg.annotation)
                arguments[scope.args.vararg.arg] = Kind.INTS if kind is Kind.INT else Kind.SEQUENCE
        nodes = list(_inside(scope))
        declared = {
            name: kind for name, kind in (*arguments.items(), *_declarations(nodes)) if kind is not Kind.UNKNOWN
        }
        bound = dict.fromkeys((name for node in nodes for name, _ in self._bindings(node, outer)), Kind.OPEN)
        bound |= arguments | declared
        for _ in range(_MOST_ROUNDS):  # until nothing new is learnt from names that depend on one another
            found = {name: [kind] for name, kind in arguments.items()}
            for node in nodes:
                for name, kind in self._bindings(node, outer | bound):
                    found.setdefault(name, []).append(kind)
            settled = {name: joined(kinds) for name, kinds in found.items()} | declared
            if settled == bound:
                return {name: Kind.UNKNOWN if kind is Kind.OPEN else kind for name, kind in bound.items()}
            bound = settled
        return dict.fromkeys(bound, Kind.UNKNOWN)

    def _bindings(self, node: ast.AST, names: dict[str, Kind]) -> Iterator[tuple[str, Kind]]:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from self._unpacked(target, value, names)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                kind = annotated(annotation)
                is_final = isinstance(annotation, ast.Name) and annotation.id == "Final"
                yield name, self.kind(value, names) if is_final and value is not None else kind
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                yield name, of_operation(op, self.kind(node.target, names), self.kind(value, names))
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                yield name, self.kind(value, names)
            case ast.For(target=target, iter=iterable) | ast.comprehension(target=target, iter=iterable):
                yield from self._iterated(target, iterable, names)

    def _unpacked(self, target: ast.expr, value: ast.expr, names: dict[str, Kind]) -> Iterator[tuple[str, Kind]]:
        if isinstance(target, ast.Name):
            yield target.id, self.kind(value, names)
        elif isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                for part, element in zip(target.elts, value.elts, strict=True):
                    yield from self._unpacked(part, element, names)
            else:
                kind = self._of_element(value, names)
                yield from ((part.id, kind) for part in target.elts if isinstance(part, ast.Name))

    def _iterated(self, target: ast.expr, iterable: ast.expr, names: dict[str, Kind]) -> Iterator[tuple[str, Kind]]:
        match iterable, target:
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]), ast.Tuple(elts=[ast.Name(id=name), rest]):
                yield name, Kind.INT
                yield from self._iterated(rest, inner, names)
            case ast.Call(func=ast.Name(id="zip"), args=inner), ast.Tuple(elts=parts) if len(inner) == len(parts):
                for part, along in zip(parts, inner, strict=True):
                    yield from self._iterated(part, along, names)
            case _, ast.Name(id=name):
                yield name, self._of_element(iterable, names)
            case _, ast.Tuple(elts=parts):
                yield from ((part.id, Kind.UNKNOWN) for part in parts if isinstance(part, ast.Name))

    def _of_element(self, node: ast.expr, names: dict[str, Kind]) -> Kind:
        """The kind that all elements of a sequence have."""
        match node:
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                return self.kind(element, names)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return joined(self.kind(element, names) for element in elements)
        return Kind.INT if self.kind(node, names) is Kind.INTS else Kind.UNKNOWN

    def kind(self, node: ast.expr, names: dict[str, Kind]) -> Kind:
        """What is known of an expression."""
        match node:
            case ast.Constant(value=bool() | int()):
                return Kind.INT
            case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
                return Kind.SEQUENCE
            case ast.Name(id=name):
                return names.get(name, Kind.UNKNOWN)
            case ast.UnaryOp(operand=operand):
                return self.kind(operand, names)
            case ast.Compare():
                return Kind.INT
            case ast.BoolOp(values=values):
                return joined(self.kind(value, names) for value in values)
            case ast.IfExp(body=body, orelse=orelse):
                return joined([self.kind(body, names), self.kind(orelse, names)])
            case ast.BinOp(left=left, op=op, right=right):
                return of_operation(op, self.kind(left, names), self.kind(right, names))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                whole = bool(elements) and all(self.kind(element, names) is Kind.INT for element in elements)
                return Kind.INTS if whole else Kind.SEQUENCE
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                return Kind.INTS if self.kind(element, names) is Kind.INT else Kind.SEQUENCE
            case ast.Subscript(value=value, slice=index):
                kind = self.kind(value, names)
                return kind if isinstance(index, ast.Slice) else Kind.INT if kind is Kind.INTS else Kind.UNKNOWN
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in self.attributes:
                return self.attributes[name]
            case ast.Attribute(value=value, attr="mT") if self.kind(value, names) is Kind.TENSOR:
                return Kind.TENSOR
            case ast.Attribute(attr=name):
                return Kind.INT if name in _INT_ATTRIBUTES else Kind.INTS if name in _INTS_ATTRIBUTES else Kind.UNKNOWN
            case ast.Call(func=function, args=arguments):
                return self._of_call(function, arguments, names)
        return Kind.UNKNOWN

    def _of_call(self, function: ast.expr, arguments: list[ast.expr], names: dict[str, Kind]) -> Kind:
        match function:
            case ast.Name(id="PA") | ast.Attribute(value=ast.Name(id="PA")):
                return Kind.PA
            case ast.Name(id="Fraction"):
                return Kind.FRACTION
            case ast.Attribute(value=ast.Name(id="torch"), attr=name) if name in _TENSOR_CALLS:
                return Kind.TENSOR
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self.submodules:
                return self.submodules[module].get(f"{name}()", Kind.UNKNOWN)
            case ast.Name(id="range"):
                return Kind.INTS
            case ast.Name(id=name) if name in _INT_CALLS:
                return Kind.INT
            case ast.Name(id="divmod"):
                return (
                    Kind.INTS if {self.kind(argument, names) for argument in arguments} == {Kind.INT} else Kind.UNKNOWN
                )
            case ast.Attribute(value=ast.Name(id="math"), attr="prod"):
                return Kind.INT if self.kind(arguments[0], names) is Kind.INTS else Kind.UNKNOWN
            case ast.Name(id=name) if name in _SAME_KIND_CALLS:
                kinds = [self.kind(argument, names) for argument in arguments]
                return Kind.INT if all(kind in (Kind.INT, Kind.INTS) for kind in kinds) else joined(kinds)
            case ast.Name(id="list" | "tuple" | "sorted" | "reversed" | "set") if arguments:
                kind = self.kind(arguments[0], names)
                return kind if kind is Kind.INTS else Kind.SEQUENCE
            case ast.Name(id=name):
                return names.get(f"{name}()", Kind.UNKNOWN)
            case ast.Attribute(attr=name) if name in _INT_METHODS or (name == "size" and arguments):
                return Kind.INT
            case ast.Attribute(attr=name) if name in _INTS_METHODS or name == "size":
                return Kind.INTS
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return names.get(f"{name}()", Kind.UNKNOWN)
            case ast.Attribute(value=value) if self.kind(value, names) is Kind.PA:
                return Kind.PA
        return Kind.UNKNOWN


def _is_negative(node: ast.expr) -> bool:
    """True for ``-n``: a power with such an exponent is a quotient."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _bound_names(tree: ast.Module) -> frozenset[str]:
    """Names that stand for something of the module, or of another, not for what Python means by them."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return frozenset(functions.union(alias.asname or alias.name for node in imports for alias in node.names))


def _declarations(nodes: list[ast.AST]) -> Iterator[tuple[str, Kind]]:
    """Names that are declared with a type: they keep it, whatever is assigned."""
    for node in nodes:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, annotated(node.annotation)


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a scope, down to the functions in it, whose insides belong to them; annotations left out."""
    body = scope.body  # type: ignore[attr-defined]
    pending: list[ast.AST] = list(body) if isinstance(body, list) else [body]
    if isinstance(scope, ast.FunctionDef | ast.Lambda):
        pending += [*scope.args.defaults, *(default for default in scope.args.kw_defaults if default)]
    while pending:
        node = pending.pop(0)
        yield node
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        skipped = getattr(node, "annotation", None)
        pending = [child for child in ast.iter_child_nodes(node) if child is not skipped] + pending
