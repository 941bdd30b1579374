"""Numbers made of sizes, such as 1/(N - D): whether they have values, and sizes at which they have."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

import sympy as sp

from mlpreport.derivation.program import Shape, Term, nodes
from mlpreport.errors import InvalidInputError

Sizes = Mapping[sp.Expr, int]

LARGEST = 709.78
"""Logarithm of the largest number in double precision."""

MOST = 5000
"""Most entries of all variables together that are written out, which takes minutes."""

TRIED = range(2, 9)
"""Sizes that are tried where none are given."""


def show_sizes(sizes: Mapping[Any, int]) -> str:
    """Write sizes by their names, as in N = 2, D = 3."""
    return ", ".join(f"{name} = {value}" for name, value in sizes.items()) or "the declared sizes"


def is_finite(number: sp.Expr) -> bool:
    """Whether a number without sizes is real and in the range of double precision."""
    return bool(number.is_finite and number.is_real and abs(number) < sp.exp(LARGEST))


def numbers(terms: Iterable[Term]) -> list[sp.Expr]:
    """Numbers made of sizes that terms compute with, a divisor as its reciprocal."""
    met = {node for term in terms for node in nodes(term)}
    divisors = {node.operands[1] for node in met if node.op == "/"}
    found = {node.parts[0] for node in met - divisors if node.op == "num"}
    found |= {1 / node.parts[0] for node in divisors if node.op == "num"}
    return sorted((number for number in found if number.free_symbols), key=str)


def valueless(made: Iterable[sp.Expr], sizes: Sizes) -> list[sp.Expr]:
    """List the numbers that are not real, or infinite, at some sizes."""
    return [number for number in made if not is_finite(number.subs(sizes))]


def check_values(made: Iterable[sp.Expr], sizes: Sizes) -> None:
    """Refuse sizes at which a number made of them has no value."""
    for number in valueless(made, sizes):
        at = {size: sizes[size] for size in sorted(number.free_symbols, key=str)}
        message = f"{number} is no finite number at {show_sizes(at)}; give other sizes"
        raise InvalidInputError(message)


def check_few(shapes: Iterable[Shape], sizes: Sizes) -> None:
    """Refuse sizes at which variables have more entries than can be written out."""
    count = int(sum((rows * columns).subs(sizes) for rows, columns in shapes))
    if count > MOST:
        message = (
            f"at {show_sizes(sizes)} the variables have {count:,} entries, but only {MOST:,} can be written out; "
            "declare large sizes as letters and give small values for them, such as 2: they are checked as symbols, too"
        )
        raise InvalidInputError(message)


def ascending(count: int, tried: range, key: Callable[[tuple[int, ...]], int]) -> Iterator[tuple[int, ...]]:
    """Choose so many sizes in every way, by a key that grows with each: there are too many ways to list all."""
    first = (tried[0],) * count
    heap, met = [(key(first), first)], {first}
    while heap:
        _, chosen = heappop(heap)
        yield chosen
        for n, size in enumerate(chosen):
            more = (*chosen[:n], size + 1, *chosen[n + 1 :])
            if more[n] in tried and more not in met:
                met.add(more)
                heappush(heap, (key(more), more))


def fitting(made: Sequence[sp.Expr], default: Sizes, given: Sizes) -> Sizes:
    """Take given sizes, and for others the default, or the smallest ones tried at which all numbers have values."""
    usual = {**default, **given}
    free = {size for number in valueless(made, usual) for size in number.free_symbols} - given.keys()
    tried = (
        {**usual, **dict(zip(sorted(free, key=str), chosen, strict=True))}
        for chosen in ascending(len(free), TRIED, sum)
    )
    sizes = next((each for each in tried if not valueless(made, each)), usual)
    check_values(made, sizes)
    return sizes
