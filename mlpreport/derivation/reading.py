"""Reading ordinary array code: a whitelist of Python's syntax is interpreted, nothing is executed."""

import ast
import re
from dataclasses import dataclass
from sys import float_info
from typing import Any, NoReturn

import sympy as sp

from mlpreport.checks import nearest
from mlpreport.derivation.elementwise import elementwise_names
from mlpreport.derivation.indices import Phi, entry
from mlpreport.derivation.program import ALL, ONE, Term, build, num, show_shape
from mlpreport.derivation.sizes import LARGEST, is_finite
from mlpreport.derivation.splitting import simple
from mlpreport.errors import InvalidInputError, ProgramError, ShapeError

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}
_LIBRARIES = {"np", "numpy", "torch", "jnp", "F", "nn.functional", "torch.nn.functional", "jax.nn"}
_MAXIMA = "maxima and minima are elementwise only, such as relu; or use register_elementwise"
_INSTEAD = dict.fromkeys(("max", "min", "maximum", "minimum"), _MAXIMA)
_INSTEAD |= dict.fromkeys(("dot", "matmul", "mm"), "write a @ b")
_INSTEAD |= dict.fromkeys(("abs", "absolute"), "write relu(a) + relu(-a), or use register_elementwise")
_INSTEAD |= dict.fromkeys(("len", "size", "shape"), "write the size itself, such as N")
_INSTEAD |= {"sqrt": "write a**0.5", "square": "write a**2", "power": "write a**2"}
_INSTEAD |= dict.fromkeys(("transpose", "t", "T"), "write a.T")
_INSTEAD |= dict.fromkeys(("zeros", "zeros_like"), "write 0 * ones((N, 1))")
_INSTEAD |= {"exp'": "exp is its own derivative, write exp(a)", "log'": "write 1/a"}
"""What to write for functions that are outside the language."""
_DEEPEST = 150
_AXES = {"None": ALL, "0": sp.S.Zero, "-2": sp.S.Zero, "1": ONE, "-1": ONE}
_REDUCTIONS = frozenset({"sum", "mean", "softmax"})
_TORCH = {"dim": "axis", "keepdim": "keepdims"}
_PRIME = "ʹ"
"""Stands for the ' of a derivative such as tanh'(z): a letter to Python, which would begin a text at the '."""


def _functions() -> list[str]:
    """Names that may be called, sorted."""
    return sorted({*_REDUCTIONS, "exp", "log", "ones", *elementwise_names()})


@dataclass
class Reader:
    """Reads source text into terms; `scope` says what names mean, `fitting` whether shapes must fit."""

    source: str
    scope: dict[str, Term]
    fitting: bool = True

    def read_assignments(self) -> dict[str, Term]:
        """Read a whole program into simple equations."""
        if not (statements := self._parse("exec").body):
            self.fail(_place(1, 0), "the program is empty; its last line assigns the loss")
        definitions = dict(map(self._assignment, statements))
        loss, term = definitions.popitem()
        if term.shape != (ONE, ONE):
            problem = f"the loss {loss} has shape {show_shape(term.shape)}; wrap it in mean(…) or sum(…)"
            self.fail(statements[-1], problem, ShapeError)
        return simple({**definitions, loss: term}, self._known())

    def read_expression(self) -> Term:
        """Read one expression."""
        self.source = self.source.strip()
        if not self.source:
            self.fail(_place(1, 0), "there is no expression")
        if assigned := re.match(r"\w+\s*=(?!=)", self.source):
            self.fail(_place(1, 0, assigned.end()), "write the expression alone, without a name and =")
        return self._expression(self._parse("eval").body)

    def fail(self, node: Any, problem: str, kind: type[InvalidInputError] = ProgramError) -> NoReturn:
        """Raise an error that marks the source line."""
        lines = re.split("\r\n|\r|\n", self.source)  # what Python counts as lines
        text = lines[min(node.lineno, len(lines)) - 1]
        # Python counts places in bytes; what goes on in the next line is marked to the end of its first.
        ends = node.col_offset, node.end_col_offset if node.end_lineno == node.lineno else None
        start, end = (len(_primed(text).encode()[:place].decode(errors="ignore")) for place in ends)
        marks = re.sub("[^\t]", " ", text[:start]) + "^" * max(1, end - start)
        message = f"line {node.lineno}: {problem}\n    {text}\n    {marks}"
        raise kind(message)

    def _parse(self, mode: str) -> Any:
        try:
            tree = ast.parse(_primed(self.source), mode=mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # Of an expression that ends too early Python tells no place, but the place 0.
            text, offset = getattr(error, "text", None) or "", getattr(error, "offset", None)
            before = text[: (offset or 1) - 1] if offset != 0 else text.rstrip()
            place = _place(getattr(error, "lineno", None) or 1, len(before.encode()))
            self.fail(place, f"not Python syntax ({getattr(error, 'msg', error)})")
        level: list[ast.AST] = [tree]
        for _ in range(_DEEPEST):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
        for node in level:
            if isinstance(node, ast.expr):
                self.fail(node, "this is nested too deeply; give parts of it a name")
        return tree

    def _assignment(self, statement: Any) -> tuple[str, Term]:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Name) or len(statement.targets) > 1:
            self.fail(statement, "only assignments 'name = expression' are in the language")
        if target.id in self.scope:
            self.fail(target, f"{target.id!r} has a value already; give the new value a new name")
        term = self._expression(statement.value)
        self.scope[target.id] = build("var", target.id, *term.shape)
        return target.id, term

    def _known(self) -> dict[str, Term]:
        """What names mean: variables, and sizes, which may stand for numbers."""
        sizes = {size for term in self.scope.values() for size in term.shape if size.is_Symbol}
        return {str(size): num(size) for size in sizes} | self.scope

    def _expression(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant(int() | float() as value) if not isinstance(value, bool):
                # nsimplify would keep fifteen decimals.
                return self._number(node, sp.Rational(repr(value)) if value <= float_info.max else sp.oo)
            case ast.Name():
                return self._name(node)
            case ast.UnaryOp(ast.UAdd(), operand):
                return self._expression(operand)
            case ast.UnaryOp(ast.USub(), operand):
                return self._operation(node, "neg", self._expression(operand))
            case ast.BinOp(left, op, right) if type(op) in _BINARY:
                operands = self._expression(left), self._expression(right)
                self._check(node, operands)
                return self._operation(node, _BINARY[type(op)], *operands)
            case ast.Attribute(value, "T"):
                term = self._expression(value)
                return term if term.op == "num" else term.T
            case ast.Call():
                return self._call(node)
        shown = isinstance(node, ast.BinOp | ast.Constant | ast.Attribute)
        kind = self._text(node) if shown else type(node).__name__
        named = node.value if isinstance(node, ast.Subscript) else node
        rule = _INSTEAD.get(getattr(named, "attr", ""), "@ + - * / ** .T, numbers, function calls")
        return self.fail(node, f"{kind} is outside the language ({rule})")

    def _text(self, node: ast.expr) -> str:
        """Show an expression as it was written."""
        return str(ast.get_source_segment(_primed(self.source), node)).replace(_PRIME, "'")

    def _check(self, node: ast.BinOp, operands: tuple[Term, Term]) -> None:
        """Refuse powers and quotients that have no value."""
        a, b = (operand.parts[0] if operand.op == "num" else None for operand in operands)
        if isinstance(node.op, ast.Pow) and not (b is not None and b.is_Rational):
            rule = "an exponent is a number, whole or a fraction; write exp(b * log(a)) for other powers"
            self.fail(node.right, rule)
        huge = isinstance(node.op, ast.Pow) and a and a.is_number and abs(b * sp.log(abs(a)).n()) > LARGEST
        if huge or (b == 0 and isinstance(node.op, ast.Div)):
            self._number(node, sp.oo)

    def _number(self, node: ast.expr, value: sp.Expr) -> Term:
        if value.is_number and not is_finite(value):
            self.fail(node, f"{self._text(node)} is no finite number; numbers are real and below 1.8e308")
        return num(value)

    def _name(self, node: ast.Name) -> Term:
        known = self._known()
        if node.id not in known:
            size = f" (no declared shape has a size {node.id})" * (len(node.id) == 1 and node.id.isupper())
            assigned = re.search(rf"(?m)(^|;)\s*{node.id}\s*=", self.source)
            remedy = "is it assigned further down? (no cycles)" if assigned else f"declare its shape{size}"
            longer = [name for name in known if len(name) > 1 < len(node.id)]
            alike = [name for name in longer if name[0] == node.id[0] and not self.fitting]
            remedy = nearest(node.id, known) or remedy
            remedy = f"with this first letter: {', '.join(alike)}" if alike else remedy
            called = f"write {node.id}(…), as it is a function" * (node.id in _functions())
            self.fail(node, f"unknown name {node.id!r}; {called or nearest(node.id, longer) or remedy}")
        return known[node.id]

    def _operation(self, node: ast.expr, op: str, *parts: sp.Basic | str | int) -> Term:
        """Build an operation; one on numbers alone becomes a number."""
        term = build(op, *parts)
        if op == "@" and any(operand.op == "num" for operand in term.operands):
            self.fail(node, "@ needs arrays; use * with numbers", ShapeError)
        try:
            _ = self.fitting and term.shape
        except ShapeError as error:
            self.fail(node, str(error), ShapeError)
        if any(operand.op != "num" for operand in term.operands):
            return _recognised(term)
        return self._number(node, entry(term, ONE, ONE).replace(Phi, lambda *args: Phi(*args).formula()))

    def _call(self, node: ast.Call) -> Term:
        function, arguments = node.func, list(node.args)
        owner = getattr(function, "value", None)
        if owner and ast.unparse(owner) not in _LIBRARIES - self.scope.keys():
            arguments.insert(0, owner)
        name = str(getattr(function, "attr", getattr(function, "id", self._text(function))))
        name, order, known = name.rstrip(_PRIME), name.count(_PRIME), _functions()
        if name not in (elementwise_names() if order else known):
            written = name + order * "'"
            hint = _INSTEAD.get(written) or nearest(name, known)
            hint = hint or f"known: {', '.join(known)}; or use register_elementwise"
            self.fail(function, f"unknown function {written!r}; {hint}")
        if name == "ones":
            return self._ones(node, arguments)
        axis = self._axis(node, name, arguments)
        operands = [*map(self._expression, arguments)]
        if len(operands) != 1:
            self.fail(node, f"{name} takes one array")
        if name in elementwise_names():
            return self._operation(node, "call", name, order, *operands)
        return self._operation(node, name, *operands, *[axis] * (name in _REDUCTIONS))

    def _ones(self, node: ast.Call, arguments: list[ast.expr]) -> Term:
        """Read ones((N, D)); its sizes are those of variables."""
        match arguments:
            case [ast.Tuple(given)]:
                arguments = given
        sizes = [self._expression(size) for size in arguments]
        known = {ONE, *(size for term in self.scope.values() for size in term.shape)}
        if len(sizes) != 2 or node.keywords or any(s.op != "num" or s.parts[0] not in known for s in sizes):  # noqa: PLR2004
            self.fail(node, "ones takes two sizes that variables have, such as ones((N, 1))")
        return build("ones", *(size.parts[0] for size in sizes))

    def _axis(self, node: ast.Call, name: str, arguments: list[ast.expr]) -> sp.Integer:
        """Read the axis, by position or name; sizes of 1 are always kept."""
        given = {_TORCH.get(word.arg or "", word.arg): ast.unparse(word.value) for word in node.keywords}
        if name in _REDUCTIONS and len(arguments) > 1 and "axis" not in given:
            given["axis"] = ast.unparse(arguments.pop(1))
        default = "1" if name == "softmax" else "None"
        axes = _AXES if name in _REDUCTIONS else {"None": ALL}
        axis = axes.get(given.pop("axis", default))
        if given.pop("keepdims", "True") != "True" or given or axis is None:
            rule = "sum, mean and softmax take axis=None, 0 or 1; sum and mean keep the axis"
            self.fail(node, f"{name} with these arguments is outside the language: {rule}")
        return axis


def _primed(source: str) -> str:
    """Write a derivative such as tanh'(z) as Python can read it, every character in its place."""
    return re.sub(r"(?<=\w)'+(?=\()", lambda found: _PRIME * len(found[0]), source)


def _place(row: int, column: int, end: int = 0) -> ast.AST:
    return ast.Pass(lineno=row, col_offset=column, end_lineno=row, end_col_offset=max(column, end))


def _recognised(term: Term) -> Term:
    """Replace log(sum(exp(a))) and exp(a) / sum(exp(a)) by the operations that cannot overflow."""
    match term:
        case Term("log", (Term("sum", (Term("exp", (inner,)), axis)),)):
            return build("logsumexp", inner, axis)
        case Term("/", (top, Term("sum", (Term("exp", (inner,)) as below, axis)))) if top == below:
            return build("softmax", inner, axis)
    return term
