"""What the differential test calls: for each public function that JAX has as well, expressions over common operands.

A case is the text of the arguments of the function `f`, or a whole expression that mentions `f` as a word. It may
use `xp`, `lax`, `random` (the modules of the library in turn), `library`, `np`, and the operands of `base.py`.
"""

from differential.base import Table
from differential.lax_cases import LAX, LAX_LINALG
from differential.nn_cases import INITIALIZERS, NN, RANDOM
from differential.numpy_cases import FFT, LINALG, NUMPY
from differential.scipy_cases import SCIPY

__all__ = ["TABLES"]

#: Module of nrx, and of jax, to its table.
TABLES: dict[str, Table] = {
    "numpy": NUMPY, "numpy.linalg": LINALG, "numpy.fft": FFT, "lax": LAX, "lax.linalg": LAX_LINALG, "nn": NN,
    "nn.initializers": INITIALIZERS, "random": RANDOM, **SCIPY,
}  # fmt: skip
