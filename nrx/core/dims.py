"""Dimensions that a compiled program leaves open: ints that know how they depend on symbols.

A `Dim` is the int that it has in the program at hand, so that everything that decides by numbers works as ever; its
`terms` say how it follows from the symbols. A quotient that is no polynomial is a symbol of its own. Where arithmetic
leads further out, the result is a plain int.

Nothing is assumed of the symbols: code made with Dims is right for this program's numbers. If the code made for other
numbers comes out the same, letter by letter, it is the same code (see `compiler.generalize`). So that it does, what
only makes code faster is decided by `capacity`, and what happens to be equal is told apart by `identity`.
"""

import math
from collections.abc import Iterable
from typing import Any

_LEAST_ROOM = 256

Monomial = tuple[int, ...]
"""The numbers of the symbols that are multiplied, in order; () is 1."""


class Symbols:
    """The symbols of a program.

    Args:
        given: what those that its arguments determine are for the program at hand.
    Fields:
        values: of all, those that are quotients of others behind the given ones.
        words: numbers that the program's entry alone needs; a Dim refers to word k as -1 - k.
    """

    def __init__(self, given: Iterable[int]):
        self.given = tuple(given)
        self.restart()

    def restart(self) -> None:
        """Forget all but the given ones."""
        self.values = list(self.given)
        self.words: list[int] = []
        self._capacities = list(map(_next_power, self.given))
        self._quotients: dict[Any, Dim] = {}

    def __repr__(self) -> str:
        return f"Symbols{self.given}"

    def dim(self, number: int) -> "Dim":
        """A symbol as a Dim."""
        return Dim(self.values[number], {(number,): 1}, self)

    def word(self, value: int) -> "Dim":
        """A number of which the entry is told, whatever it follows from."""
        self.words.append(int(value))
        return Dim(value, {(-len(self.words),): 1}, self)

    def made(self, value: int, terms: dict[Monomial, int]) -> int:
        """The int with that polynomial; a plain one if it is constant."""
        terms = {monomial: c for monomial, c in terms.items() if c}
        return Dim(value, terms, self) if any(terms) else int(value)

    def quotient(self, x: int, divisor: int) -> int:
        """x // divisor; a plain int if it is negative."""
        value = int(x) // int(divisor)
        if value < 0:
            return value
        if divisor < 0:  # what both are at most says nothing of what their quotient is
            x, divisor = -x, -divisor
        key = identity(x), identity(divisor)
        if key not in self._quotients:
            self.values.append(value)
            self._capacities.append(capacity(x) if isinstance(divisor, Dim) else capacity(x) // divisor)
            self._quotients[key] = self.dim(len(self.values) - 1)
        return self._quotients[key]

    def capacity(self, terms: dict[Monomial, int]) -> int:
        """What a polynomial is at most while each symbol stays between two powers of 4."""
        return sum(c * math.prod(self._capacities[k] for k in monomial) for monomial, c in terms.items() if c > 0)


class Dim(int):
    """An int with the polynomial that gives it: a coefficient for every monomial."""

    terms: dict[Monomial, int]
    symbols: Symbols

    def __new__(cls, value: int, terms: dict[Monomial, int], symbols: Symbols) -> "Dim":
        self = super().__new__(cls, value)
        self.terms, self.symbols = terms, symbols
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
        return self.symbols.made(-int(self), {monomial: -c for monomial, c in self.terms.items()})

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        product: dict[Monomial, int] = {}
        for a, x in self.terms.items():
            for b, y in terms_of(other).items():
                monomial = tuple(sorted(a + b))
                product[monomial] = product.get(monomial, 0) + x * y
        return self.symbols.made(int(self) * int(other), product)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        exact = _exact_quotient(self, other)
        if exact is not None:
            return self.symbols.made(int(self) // int(other), exact)
        falls = all(c < 0 for monomial, c in self.terms.items() if monomial)
        if falls and other > 0 and not isinstance(other, Dim):  # rounded up, in disguise
            return -((other - 1 - self) // other)
        return self.symbols.quotient(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.symbols.quotient(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return self - self // other * other if isinstance(other, int) else NotImplemented


def terms_of(value: int) -> dict[Monomial, int]:
    """The polynomial of an int, which may be a Dim."""
    return value.terms if isinstance(value, Dim) else {(): int(value)}


def identity(value: int) -> Any:
    """Equal for ints that are equal whatever the symbols are."""
    return frozenset(value.terms.items()) if isinstance(value, Dim) else value


def capacity(value: int) -> int:
    """What an int is at most for symbols of about the same size: what decides how code is made."""
    return value.symbols.capacity(value.terms) if isinstance(value, Dim) else value


def room(value: int) -> int:
    """As `capacity`, but the same for all small sizes: what costs nothing where it is not used."""
    return max(_LEAST_ROOM, capacity(value)) if isinstance(value, Dim) else value


def typical(value: int) -> int:
    """As `capacity`, but in the middle of what an int can be."""
    return max(1, capacity(value) // 2) if isinstance(value, Dim) else value


def _next_power(value: int) -> int:
    """The next power of 4."""
    return 1 << (max(value - 1, 0).bit_length() + 1) // 2 * 2


def _exact_quotient(x: Dim, divisor: int) -> dict[Monomial, int] | None:
    """The polynomial of x / divisor, for a divisor of one term; None if it is none."""
    if len(terms_of(divisor)) != 1:
        return None
    ((factors, factor),) = terms_of(divisor).items()
    quotient: dict[Monomial, int] = {}
    for monomial, c in x.terms.items():
        rest = list(monomial)
        for number in factors:
            if number not in rest:
                return None
            rest.remove(number)
        if c % factor:
            return None
        quotient[tuple(rest)] = c // factor
    return quotient


def _sum(x: Any, y: Any, sign: int) -> Any:
    if not isinstance(y, int):
        return NotImplemented
    if not isinstance(x, Dim):  # the opposite of a Dim is one, unless it is constant
        return x + sign * y
    total = dict(x.terms)
    for monomial, c in terms_of(y).items():
        total[monomial] = total.get(monomial, 0) + sign * c
    return x.symbols.made(int(x) + sign * int(y), total)
