"""Cases of threefry2x32: operands of one shape and scalars, few elements (Python's integers) and many (NumPy)."""

import numpy as np

from cases.base import Case, integers
from nrx.ops.threefry import threefry2x32


def oracle(k1: np.ndarray, k2: np.ndarray, x1: np.ndarray, x2: np.ndarray) -> list[np.ndarray]:
    """As the paper states it: a round is a mix, and every fourth round a word of the key schedule is added."""
    k1, k2, x1, x2 = (x.astype(np.uint64) for x in (k1, k2, x1, x2))
    schedule, modulus = (k1, k2, k1 ^ k2 ^ np.uint64(0x1BD11BDA)), np.uint64(1 << 32)
    words = np.stack(np.broadcast_arrays((x1 + k1) % modulus, (x2 + k2) % modulus))
    for number, rotation in enumerate((13, 15, 26, 6, 17, 29, 16, 24) * 2 + (13, 15, 26, 6), start=1):
        turned = words[1] * np.uint64(1 << rotation)
        first = (words[0] + words[1]) % modulus
        words = np.stack([first, first ^ (turned % modulus + turned // modulus)])
        if number % 4 == 0:
            added = number // 4
            words[0] = (words[0] + schedule[added % 3]) % modulus
            words[1] = (words[1] + schedule[(added + 1) % 3] + np.uint64(added)) % modulus
    return list(words.astype(np.uint32))


def encrypted(name: str, *shapes: tuple[int, ...], vmap: bool = True) -> Case:
    args = [integers(*shape, low=0, high=1 << 32, dtype="uint32") for shape in shapes]
    return Case(name, "threefry2x32", threefry2x32, args, oracle, dtypes=("uint32",), vmap=vmap, ulp=0)


CASES = [
    encrypted("scalars", (), (), (), ()),
    encrypted("vectors", (5,), (5,), (5,), (5,)),
    encrypted("matrices", (4, 7), (4, 7), (4, 7), (4, 7)),
    encrypted("one-key", (), (), (3, 5), (3, 5)),
    encrypted("one-counter", (20,), (20,), (), ()),
    encrypted("crossed", (4, 1), (4, 1), (1,), (6,)),
    encrypted("nothing", (), (), (0, 3), (0, 3)),
    encrypted("several-chunks", (1,), (1,), (2, 40_000), (2, 40_000), vmap=False),
]
