"""Special functions of real arrays, under the names of `scipy.special`, as in `jax.scipy.special`.

Operands are promoted and broadcast as in `nrx.numpy`; all functions can be differentiated, batched and compiled.

>>> nrx.scipy.special.expit(jnp.array([0.0, 2.0])).round(3)
Array([0.5  , 0.881], dtype=float32)
"""

from nrx.scipy.special.errors import (
    dawsn,
    erf,
    erfc,
    erfcx,
    erfinv,
    fresnel,
    log_ndtr,
    ndtr,
    ndtri,
    owens_t,
    wofz,
)
from nrx.scipy.special.gammas import (
    bernoulli,
    beta,
    betaln,
    comb,
    digamma,
    factorial,
    gamma,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    polygamma,
    zeta,
)
from nrx.scipy.special.hypergeometric import bessel_jn, hyp1f1, hyp2f1, sph_harm_y
from nrx.scipy.special.incomplete import betainc, gammainc, gammaincc, i0, i0e, i1, i1e
from nrx.scipy.special.integrals import exp1, expi, expn, sici, spence
from nrx.scipy.special.logarithms import boxcox, boxcox1p, entr, expit, kl_div, logit, rel_entr, xlog1py, xlogy
from nrx.scipy.special.sums import log_softmax, logsumexp, softmax

__all__ = [
    # gamma and its relatives
    "gamma", "gammaln", "gammasgn", "loggamma", "beta", "betaln", "multigammaln", "factorial", "comb", "poch",
    "digamma", "polygamma", "zeta", "bernoulli",
    # integrals over parts, and Bessel functions
    "gammainc", "gammaincc", "betainc", "i0", "i0e", "i1", "i1e",
    # series and recurrences
    "hyp1f1", "hyp2f1", "bessel_jn", "sph_harm_y",
    # the error function and its relatives
    "erf", "erfc", "erfinv", "erfcx", "dawsn", "wofz", "ndtr", "ndtri", "log_ndtr", "fresnel", "owens_t",
    # other integrals
    "exp1", "expi", "expn", "sici", "spence",
    # logarithms
    "logit", "expit", "xlogy", "xlog1py", "entr", "rel_entr", "kl_div", "boxcox", "boxcox1p",
    # sums
    "logsumexp", "softmax", "log_softmax",
]  # fmt: skip
