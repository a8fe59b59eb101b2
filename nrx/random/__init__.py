"""Random numbers, under the names of `jax.random`, with JAX's values for the same keys.

Bits, integers, permutations, and uniform numbers but those of float64 between limits other than 0 and 1, are JAX's bit
for bit; the others up to rounding in logarithms and the like.

There is no hidden state: every draw takes a key, the same key gives the same numbers, and `split` makes new keys. Use
each key for one draw.

>>> import nrx
>>> key, subkey = nrx.random.split(nrx.random.PRNGKey(0))
>>> nrx.random.normal(subkey, (2,)).shape
(2,)
"""

from nrx.random.continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    normal,
    pareto,
    rayleigh,
    triangular,
    truncated_normal,
    uniform,
    weibull_min,
)
from nrx.random.counts import binomial, multinomial, poisson
from nrx.random.discrete import bernoulli, categorical, choice, geometric, permutation, rademacher, randint
from nrx.random.gammas import beta, chisquare, dirichlet, f, gamma, loggamma, t
from nrx.random.keys import PRNGKey, bits, clone, fold_in, key, key_data, key_dtype, key_impl, split, wrap_key_data
from nrx.random.normals import (
    ball,
    double_sided_maxwell,
    generalized_normal,
    maxwell,
    multivariate_normal,
    orthogonal,
    wald,
)

__all__ = [
    # keys
    "PRNGKey", "key", "split", "fold_in", "clone", "key_data", "wrap_key_data", "key_impl", "key_dtype",
    # bits and integers
    "bits", "randint", "rademacher", "bernoulli", "geometric", "binomial", "multinomial",
    "poisson",
    # choices
    "categorical", "choice", "permutation",
    # continuous distributions
    "uniform", "normal", "truncated_normal", "exponential", "gumbel", "laplace", "logistic", "cauchy",
    "lognormal", "pareto", "rayleigh", "triangular", "weibull_min",
    # those made of gamma distributed numbers
    "gamma", "loggamma", "beta", "dirichlet", "chisquare", "f", "t",
    # those made of normal numbers
    "maxwell", "double_sided_maxwell", "wald", "generalized_normal", "ball", "multivariate_normal", "orthogonal",
]  # fmt: skip
