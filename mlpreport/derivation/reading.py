"""Reading ordinary array code: a whitelist of Python's syntax is interpreted, nothing is executed."""

import ast
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

import sympy as sp

from mlpreport.derivation.elementwise import elementwise_names, nearest
from mlpreport.derivation.indices import Phi, entry
from mlpreport.derivation.program import simple_root
from mlpreport.derivation.terms import ALL, ARITHMETIC, ONE, Term, build, num, transpose
from mlpreport.errors import InvalidInputError, ProgramError, ShapeError

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}
_LIBRARIES = ("np", "numpy", "torch", "jnp")
_DEEPEST = 150
_AXES = {None: ALL, 0: sp.S.Zero, 1: ONE, -1: ONE, -2: sp.S.Zero}


@dataclass
class Reader:
    """Reads source text into terms, naming the parts of long expressions."""

    source: str
    scope: dict[str, Term]
    equations: dict[str, Term] = field(default_factory=dict)

    def fail(
        self, node: ast.AST | None, problem: str, kind: type[InvalidInputError] = ProgramError
    ) -> NoReturn:
        """Raise an error that marks the source line."""
        lines = self.source.splitlines() or [""]
        row = getattr(node, "lineno", None) or max(
            (n for n, text in enumerate(lines, 1) if text.strip()), default=1
        )
        start = getattr(node, "col_offset", 0) or 0
        width = max(1, (getattr(node, "end_col_offset", None) or start + 1) - start)
        text = lines[min(row, len(lines)) - 1]
        marks = "^" * max(1, min(width, len(text) - start))
        message = f"line {row}: {problem}\n    {text}\n    {' ' * start}{marks}"
        raise kind(message)

    def read_assignments(self) -> Term:
        """Read the whole program and return its last variable."""
        names = [self._assign(statement) for statement in self._parse("exec").body]
        if not names:
            self.fail(None, "the program is empty; its last line assigns the loss")
        return self.scope[names[-1]]

    def read_expression(self) -> Term:
        """Read one expression."""
        return self._expression(self._parse("eval").body)

    def _parse(self, mode: str) -> Any:
        text = self.source.strip() if mode == "eval" else self.source
        try:
            tree = ast.parse(text, mode=mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            row, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
            place = ast.Name("", lineno=row, col_offset=column - 1)
            self.fail(place, f"not Python syntax ({getattr(error, 'msg', error)})")
        level: list[ast.AST] = [tree]
        for _ in range(_DEEPEST):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
        if level:
            self.fail(level[0], "this is nested too deeply; give parts of it a name")
        return tree

    def _assign(self, statement: Any) -> str:
        target = (
            statement.targets[0]
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1
            else None
        )
        if not isinstance(target, ast.Name):
            self.fail(statement, "only assignments 'name = expression' are in the language")
        if target.id in self.scope:
            self.fail(target, f"{target.id!r} has a value already; give the new value a new name")
        term = self._expression(statement.value)
        self.define(target.id, simple_root(term, self._fresh))
        return target.id

    def define(self, name: str, term: Term) -> Term:
        """Append an equation and return its variable."""
        self.equations[name] = term
        self.scope[name] = build("var", name, *term.shape)
        return self.scope[name]

    def _fresh(self, term: Term) -> Term:
        known = {**self.scope, **dict.fromkeys(_sizes(self.scope))}
        assigned = {n.id for n in ast.walk(self._parse("exec")) if isinstance(n, ast.Name)}
        return self.define(
            next(name for n in count(1) if (name := f"t{n}") not in known and name not in assigned), term
        )

    def _expression(self, node: ast.expr) -> Term:
        try:
            return self._interpret(node)
        except ShapeError as error:
            if str(error).startswith("line "):
                raise
            self.fail(node, str(error), ShapeError)

    def _interpret(self, node: ast.expr) -> Term:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self._expression(node.operand)
            return operand if isinstance(node.op, ast.UAdd) else _folded("neg", operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            left, right = self._expression(node.left), self._expression(node.right)
            if isinstance(node.op, ast.Pow) and right.op != "num":
                self.fail(node.right, "an exponent is a number; write exp(b * log(a)) for a power of arrays")
            return _recognised(_folded(_BINARY[type(node.op)], left, right))
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return transpose(self._expression(node.value))
        if isinstance(node, ast.Call):
            return self._call(node)
        return self.fail(
            node, f"{type(node).__name__} is outside the language (@ + - * / ** .T, numbers, function calls)"
        )

    def _number(self, node: Any) -> Term:
        value = sp.nsimplify(node.value, rational=True) if abs(node.value) < float("inf") else None
        if value is None:
            self.fail(node, f"{node.value} is no finite number")
        return num(value)

    def _name(self, node: ast.Name) -> Term:
        if node.id in self.scope:
            return self.scope[node.id]
        sizes = _sizes(self.scope)
        if node.id in sizes:
            return num(sizes[node.id])
        later = (
            "is it assigned further down? (no cycles)"
            if self.source.count(node.id) > 1
            else "declare its shape"
        )
        return self.fail(
            node, f"unknown name {node.id!r}; " + (nearest(node.id, [*self.scope, *sizes]) or later)
        )

    def _call(self, node: ast.Call) -> Term:
        function, arguments = node.func, list(node.args)
        if isinstance(function, ast.Attribute) and (
            ast.unparse(function.value) not in _LIBRARIES or ast.unparse(function.value) in self.scope
        ):
            arguments.insert(0, function.value)
        name = getattr(function, "attr", None) or getattr(function, "id", "")
        known = sorted({"sum", "mean", "exp", "log", "softmax", *elementwise_names()})
        if name not in known:
            hint = nearest(name, known) or f"known: {', '.join(known)}; or use register_elementwise"
            self.fail(function, f"unknown function {name!r}; {hint}")
        axis = self._axis(node, arguments, name)
        if len(arguments) != 1:
            self.fail(node, f"{name} takes one array")
        operand = self._expression(arguments[0])
        if operand.op == "num":
            return num(operand.parts[0] if name in {"sum", "mean"} else _at_number(name, operand))
        if name in {"sum", "mean"}:
            return build(name, operand, axis)
        return build(name, operand) if name == "softmax" else _recognised(build("call", name, 0, operand))

    def _axis(self, node: ast.Call, arguments: list[ast.expr], name: str) -> sp.Integer:
        given = {word.arg: word.value for word in node.keywords}
        if name in {"sum", "mean", "softmax"} and len(arguments) > 1 and "axis" not in given:
            given["axis"] = arguments.pop(1)
        values = {word: self._literal(value) for word, value in given.items()}
        default = 1 if name == "softmax" else None
        axis = values.pop("axis", values.pop("dim", default))
        if type(axis) not in (int, type(None)) or axis not in _AXES:
            self.fail(node, f"axis={axis!r}: arrays have two axes, so axis is None, 0 or 1")
        if (
            values.pop("keepdims", True) is not True
            or values
            or (name not in {"sum", "mean"} and axis != default)
        ):
            rule = "sum and mean take axis=None, 0 or 1 and keep the axis; softmax runs along rows (axis=1)"
            self.fail(node, f"{name}: {rule}")
        return _AXES[axis]

    def _literal(self, node: ast.expr) -> object:
        try:
            return ast.literal_eval(node)
        except ValueError:
            self.fail(node, "this argument must be written as a plain value")


def _sizes(scope: dict[str, Term]) -> dict[str, sp.Symbol]:
    """Names of sizes, which may stand for numbers."""
    return {str(size): size for term in scope.values() for size in term.shape if isinstance(size, sp.Symbol)}


def _folded(op: str, *operands: Term) -> Term:
    """Build an operation; one on numbers alone becomes a number."""
    if any(operand.op != "num" for operand in operands):
        return build(op, *operands)
    values = [operand.parts[0] for operand in operands]
    if op == "@":
        message = "@ needs arrays; use * between numbers"
        raise ShapeError(message)
    value = ARITHMETIC[op](*values)
    if not value.is_finite and value.is_number:
        message = f"{' and '.join(map(str, values))} with {op} is no finite number"
        raise ShapeError(message)
    return num(value)


def _at_number(name: str, operand: Term) -> sp.Expr:
    if name == "softmax":
        return sp.S.One
    value = entry(build("call", name, 0, operand), ONE, ONE)
    return value.formula() if isinstance(value, Phi) else value


def _recognised(term: Term) -> Term:
    """Replace log(sum(exp(a))) and exp(a) / sum(exp(a), axis=1) by the operations that cannot overflow."""
    inner = term.operands[-1] if term.operands else term
    if inner.op == "sum" and _is_call(inner.operands[0], "exp"):
        exponential = inner.operands[0]
        if _is_call(term, "log"):
            return build("logsumexp", exponential.operands[0], inner.parts[1])
        if term.op == "/" and term.operands[0] == exponential and inner.parts[1] == ONE:
            return build("softmax", exponential.operands[0])
    return term


def _is_call(term: Term, name: str) -> bool:
    return term.op == "call" and term.name == name
