"""Linear algebra on matrices in the last two axes; the axes before them are batches. One family, one file.

On the CPU the LAPACK that NumPy brings does the work, on a GPU CuPy's libraries: compiled code calls the host. Where a
decomposition fails (a matrix that is not positive definite, no convergence) its results are NaN, and nothing is raised.
16-bit floats are computed in float32.
"""

from nrx.ops.linalg.cholesky import cholesky
from nrx.ops.linalg.determinants import adjugate, det, slogdet
from nrx.ops.linalg.eigen import eig, eigh, eigvals, eigvalsh
from nrx.ops.linalg.lu import lu, lu_pivots_to_permutation
from nrx.ops.linalg.qr import geqrf, householder_product, qr
from nrx.ops.linalg.schur import hessenberg, schur, sqrtm, sylvester
from nrx.ops.linalg.solve import solve, triangular_solve
from nrx.ops.linalg.svd import svd
from nrx.ops.linalg.tridiagonal import column_order, tridiagonal_solve

__all__ = [
    "adjugate", "cholesky", "column_order", "det", "eig", "eigh", "eigvals", "eigvalsh", "geqrf", "hessenberg",
    "householder_product", "lu", "lu_pivots_to_permutation", "qr", "schur", "slogdet", "solve", "sqrtm", "svd",
    "sylvester", "triangular_solve", "tridiagonal_solve",
]  # fmt: skip
