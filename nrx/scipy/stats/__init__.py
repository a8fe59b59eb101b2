"""Distributions and statistics, under the names of `scipy.stats`, as in `jax.scipy.stats`.

A distribution is an object with methods: `logpdf`, `pdf`, and where they are known `cdf`, `logcdf`, `sf`, `logsf`,
`ppf` and `isf`; `logpmf` and `pmf` for integers. Parameters are given by place or by name; `loc` and `scale` come last.
It can be imported as the module that it is in JAX: `import nrx.scipy.stats.norm as norm`.

>>> nrx.scipy.stats.norm.pdf(jnp.array([0.0, 1.0]), loc=1.0, scale=2.0).round(3)
Array([0.176, 0.199], dtype=float32)
>>> nrx.grad(nrx.scipy.stats.gamma.logpdf, 1)(2.0, 3.0).round(3)
Array(-0.23, dtype=float32, weak_type=True)
"""

import sys

from nrx.scipy.stats.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    gamma,
    gennorm,
    gumbel_l,
    gumbel_r,
    laplace,
    logistic,
    norm,
    pareto,
    t,
    truncnorm,
    uniform,
    vonmises,
    wrapcauchy,
)
from nrx.scipy.stats.discrete import bernoulli, betabinom, binom, geom, nbinom, poisson
from nrx.scipy.stats.kde import gaussian_kde
from nrx.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal
from nrx.scipy.stats.ranks import mode, rankdata, sem

__all__ = [
    # continuous distributions
    "beta", "cauchy", "chi2", "expon", "gamma", "gennorm", "gumbel_l", "gumbel_r", "laplace", "logistic", "norm",
    "pareto", "t", "truncnorm", "uniform", "vonmises", "wrapcauchy",
    # of integers
    "bernoulli", "betabinom", "binom", "geom", "nbinom", "poisson",
    # of vectors
    "dirichlet", "multinomial", "multivariate_normal",
    # statistics
    "mode", "rankdata", "sem", "gaussian_kde",
]  # fmt: skip

_distributions = {name: value for name in __all__ if not callable(value := globals()[name])}
sys.modules.update({f"{__name__}.{name}": value for name, value in _distributions.items()})
