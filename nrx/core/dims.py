"""Dimensions that a compiled program leaves open: ints that know how they depend on symbols.

A `Dim` is the int that it has in the program at hand, so that everything that decides by numbers works as ever; its
`terms` say how it follows from the symbols. Where arithmetic leads out of polynomials, the result is a plain int.

Nothing is assumed of the symbols: code made with Dims is right for this program's numbers. If the code made for other
numbers comes out the same, letter by letter, it is the same code (see `compiler.generalize`).
"""

from typing import Any

Monomial = tuple[int, ...]
"""The numbers of the symbols that are multiplied, in order; () is 1."""


class Dim(int):
    """An int with the polynomial that gives it: a coefficient for every monomial."""

    terms: dict[Monomial, int]

    def __new__(cls, value: int, terms: dict[Monomial, int]) -> "Dim":
        self = super().__new__(cls, value)
        self.terms = terms
        return self

    def __reduce__(self):
        return int, (int(self),)

    def __add__(self, other: Any) -> Any:
        return _sum(self, other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _sum(self, other, -1)

    def __rsub__(self, other: Any) -> Any:
        return _sum(-self, other, 1)

    def __neg__(self) -> Any:
        return made(-int(self), {monomial: -c for monomial, c in self.terms.items()})

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        product: dict[Monomial, int] = {}
        for a, x in self.terms.items():
            for b, y in terms_of(other).items():
                monomial = tuple(sorted(a + b))
                product[monomial] = product.get(monomial, 0) + x * y
        return made(int(self) * int(other), product)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        quotient = int(self) // int(other)
        if isinstance(other, Dim) or any(c % other for c in self.terms.values()):
            return quotient
        return made(quotient, {monomial: c // other for monomial, c in self.terms.items()})


def symbol(value: int, number: int) -> Dim:
    """A symbol with the value that it has at hand."""
    return Dim(value, {(number,): 1})


def terms_of(value: int) -> dict[Monomial, int]:
    """The polynomial of an int, which may be a Dim."""
    return value.terms if isinstance(value, Dim) else {(): int(value)}


def made(value: int, terms: dict[Monomial, int]) -> int:
    """The int with that polynomial; a plain one if it is constant."""
    terms = {monomial: c for monomial, c in terms.items() if c}
    return Dim(value, terms) if any(terms) else value


def _sum(x: Dim, y: Any, sign: int) -> Any:
    if not isinstance(y, int):
        return NotImplemented
    total = dict(x.terms)
    for monomial, c in terms_of(y).items():
        total[monomial] = total.get(monomial, 0) + sign * c
    return made(int(x) + sign * int(y), total)
