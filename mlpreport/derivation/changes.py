"""Ways to be wrong: every claim that differs from a reader's claim in one thing, with what was changed."""

import ast
from collections.abc import Iterator
from copy import deepcopy

Claim = tuple[str, ast.expr]
"""What was changed about a claim, and the changed claim."""


def variants(tree: ast.expr, sizes: list[str]) -> Iterator[Claim]:
    """Yield a claim with one thing changed, likeliest first."""
    for what, text in _wrappings(ast.unparse(tree), sizes):
        yield what, ast.parse(text, mode="eval").body
    for place, node in enumerate(ast.walk(tree)):
        for choice, (what, _) in enumerate(_replacements(node)):
            yield what, _replaced(deepcopy(tree), place, choice)


def _wrappings(text: str, sizes: list[str]) -> Iterator[tuple[str, str]]:
    yield "the sign is wrong", f"-({text})"
    yield "a factor 2 is missing", f"2 * ({text})"
    yield "there is a factor 2 too many", f"({text}) / 2"
    for size in sizes:
        yield f"a division by {size} is missing", f"({text}) / {size}"
        yield f"there is a division by {size} too many", f"({text}) * {size}"
    yield "the result must be transposed", f"({text}).T"
    yield "the sum over the batch (axis 0) is missing", f"sum({text}, axis=0)"
    yield "a sum over columns (axis 1) is missing", f"sum({text}, axis=1)"
    yield "a sum over all entries is missing", f"sum({text})"


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Name):
        yield f"a transpose of {node.id} is missing", ast.Attribute(node, "T", ast.Load())
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield f"{ast.unparse(node.value)} must not be transposed", node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "the sign is wrong", node.operand
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "sum":
        axis = ast.keyword("axis", ast.Constant(0))
        yield "the sum must run over the batch (axis 0) only", ast.Call(node.func, node.args[:1], [axis])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Mult):
        yield from _products(node)


def _products(node: ast.BinOp) -> Iterator[tuple[str, ast.expr]]:
    left, right = node.left, node.right
    if isinstance(node.op, ast.MatMult):
        yield "the factors stand in the wrong order", ast.BinOp(right, ast.MatMult(), left)
        yield "the product must be taken entry by entry", ast.BinOp(left, ast.Mult(), right)
    else:
        yield "this must be a matrix product", ast.BinOp(left, ast.MatMult(), right)
    for a, b in ((left, right), (right, left)):
        flipped = ast.Attribute(a, "T", ast.Load())
        yield (
            f"the transpose {ast.unparse(flipped)} must stand on the left of a matrix product",
            ast.BinOp(flipped, ast.MatMult(), b),
        )
        yield (
            f"the transpose {ast.unparse(flipped)} must stand on the right of a matrix product",
            ast.BinOp(b, ast.MatMult(), flipped),
        )


def _replaced(tree: ast.expr, place: int, choice: int) -> ast.expr:
    old = list(ast.walk(tree))[place]
    new = list(_replacements(old))[choice][1]
    for parent in ast.walk(tree):
        for name, child in ast.iter_fields(parent):
            if child is old:
                setattr(parent, name, new)
            elif isinstance(child, list) and old in child:
                child[child.index(old)] = new
    return new if tree is old else tree
