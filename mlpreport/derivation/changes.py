"""Ways to be wrong: every claim that differs from a reader's claim in one thing, with what was changed."""

import ast
from collections.abc import Iterator

_WHOLE = [
    ("the sign is wrong", "-({0})"),
    ("a factor 2 is missing", "2 * ({0})"),
    ("there is a factor 2 too many", "({0}) / 2"),
    ("a division by {1} is missing", "({0}) / {1}"),
    ("there is a division by {1} too many", "({0}) * {1}"),
    ("the result must be transposed", "({0}).T"),
    ("the sum over the batch (axis 0) is missing", "sum({0}, axis=0)"),
    ("a sum over columns (axis 1) is missing", "sum({0}, axis=1)"),
    ("a sum over all entries is missing", "sum({0})"),
]
"""What to do to a whole claim; {1} stands for every size."""

_SIDES = [
    (f"the transpose {a}.T must stand on the {side} of a matrix product", form)
    for a, b in (("{0}", "{1}"), ("{1}", "{0}"))
    for side, form in (("left", f"{a}.T @ {b}"), ("right", f"{b} @ {a}.T"))
]
_PARTS = {
    "Name": [("a transpose of {0} is missing", "{0}.T")],
    "T": [("{0} must not be transposed", "{0}")],
    "USub": [("the sign is wrong", "{0}")],
    "sum": [("the sum must run over the batch (axis 0) only", "sum({0}, axis=0)")],
    "MatMult": [
        ("the factors stand in the wrong order", "{1} @ {0}"),
        ("the product must be taken entry by entry", "{0} * {1}"),
        *_SIDES,
    ],
    "Mult": [("this must be a matrix product", "{0} @ {1}"), *_SIDES],
}
"""What to do to one part of a claim, by its kind; {0} and {1} stand for its operands."""


def variants(claim: str, sizes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what was changed about a claim, which is one line, and the changed claim; likeliest first."""
    for what, form in _WHOLE:
        for size in sizes if "{1}" in form else [""]:
            yield what.format(claim, size), _tidied(form.format(claim, size))
    for node in ast.walk(ast.parse(claim, mode="eval")):
        kind, operands = _kind(node)
        texts = [ast.unparse(o) if isinstance(o, ast.Name) else f"({ast.unparse(o)})" for o in operands]
        for what, form in _PARTS.get(kind, []):
            yield what.format(*texts), _replaced(claim, node, f"({form.format(*texts)})")


def _kind(node: ast.AST) -> tuple[str, list[ast.expr]]:
    if isinstance(node, ast.BinOp):
        return type(node.op).__name__, [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return type(node.op).__name__, [node.operand]
    if isinstance(node, ast.Attribute):
        return node.attr, [node.value]
    if isinstance(node, ast.Call):
        return ast.unparse(node.func), node.args[:1]
    return ("Name", [node]) if isinstance(node, ast.Name) else ("", [])


def _replaced(claim: str, node: ast.AST, new: str) -> str:
    """Put a text in the place of a node; Python counts columns in bytes."""
    text = claim.encode()
    start, end = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
    return _tidied((text[:start] + new.encode() + text[end:]).decode())


def _tidied(claim: str) -> str:
    return ast.unparse(ast.parse(claim, mode="eval"))
