"""Cases of `nn`, `nn.initializers` and `random`."""

from differential.base import table

NN = table(
    ("celu elu gelu glu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid mish relu relu6 "
     "selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus swish tanh", "a", "t * 3"),
    ("relu relu6 softplus elu hard_tanh", "i"),
    ("celu elu", "a, 0.5"),
    ("leaky_relu", "a, 0.2"),
    ("gelu", "a, approximate=False"),
    ("glu", "a, axis=1"),
    ("squareplus", "a, b=2"),
    ("log1mexp", "b"),
    ("softmax log_softmax", "a", "a, axis=0", "t, axis=(0, 2)", "a, where=o"),
    ("logsumexp logmeanexp", "a", "a, axis=0", "t, axis=(0, 2), keepdims=True", "a, axis=0, where=a > -9"),
    ("logsumexp", "a, axis=1, b=b", "a, b=u, return_sign=True", "x"),
    ("standardize", "a", "a, axis=0, epsilon=0.1", "a, mean=v, variance=v * v"),
    ("one_hot", "n, 4", "n, 3, dtype='int32', axis=0", "n, 6"),
    ("dot_product_attention", "t[None], t[None], t[None]", "t[None], t[None], t[None], is_causal=True, scale=0.3",
     "t[:, :, None], k[:, :, None, :4], k[:, :, None, :4], mask=(a > -9)[None, None, :, :]"),
)  # fmt: skip

_FAMILIES = ("glorot", "he", "kaiming", "lecun", "xavier")
_SCALED = [f"{name}_{kind}" for name in _FAMILIES for kind in ("normal", "uniform")]
INITIALIZERS = table(
    ("ones zeros", "key, (3, 4)"),
    ("constant", "f(2.5)(key, (3, 4))", "f(2)(key, (3,), 'int32')"),
    ("normal truncated_normal uniform", "f()(key, (3, 4))", "f(0.5)(key, (2, 3))"),
    ("orthogonal", "f()(key, (4, 3))", "f(2.0)(key, (2, 5))"),
    ("delta_orthogonal", "f()(key, (3, 3, 4))"),
    (" ".join(_SCALED), "f()(key, (3, 4))", "f(in_axis=(0, 1), out_axis=-1)(key, (2, 3, 4))"),
    ("variance_scaling",
     "f(2.0, 'fan_avg', 'truncated_normal')(key, (5, 6))", "f(1.0, 'fan_in', 'normal')(key, (5, 6))",
     "f(1.0, 'fan_out', 'uniform')(key, (2, 5, 6), 'float32')"),
    ("Initializer", "callable(f)"),
)  # fmt: skip

RANDOM = table(
    ("PRNGKey", "0", "2**31", "-5"),
    ("split", "key", "key, 3", "key, (2, 2)"),
    ("fold_in", "key, 5", "key, n[0]"),
    ("clone", "key"),
    ("key", "random.key_data(f(3))"),
    ("key_dtype", "f()"),
    ("key_data", "random.key(4)"),
    ("wrap_key_data", "random.key_data(f(key))", "random.uniform(f(key), (3,))"),
    ("key_impl", "str(f(random.key(0)))"),
    ("bits", "key, (3,)", "key, (5,), 'uint8'"),
    ("uniform", "key, (3,)", "key, (2, 3), minval=-1.0, maxval=2.0", "key, (4,), 'float16'", "key"),
    ("normal", "key, (3,)", "key, (2, 3), 'bfloat16'", "key, (4,), 'complex64'", "key"),
    ("cauchy exponential gumbel laplace logistic maxwell", "key, (3, 4)", "key"),
    ("randint", "key, (3, 4), 0, 10", "key, (5,), -3, 3, 'int8'", "key, (), 0, 1000", "key, (3, 4), i, i + j"),
    ("bernoulli", "key", "key, 0.3, (3, 4)", "key, abs(u)"),
    ("rademacher", "key, (3, 4)", "key, (3,), 'float32'"),
    ("permutation", "key, 6", "key, a", "key, a, axis=1", "key, a, independent=True"),
    ("choice", "key, 5, (3,)", "key, v, (3,), replace=False", "key, a, (2,), axis=1",
     "key, 4, (6,), p=xp.array([0.1, 0.2, 0.3, 0.4])", "key, 5, (3,), replace=False, p=xp.ones(5) / 5"),
    ("categorical", "key, a", "key, a, axis=0", "key, v, shape=(5,)", "key, v, shape=(3,), replace=False"),
    ("truncated_normal", "key, -1.0, 1.0, (3, 4)", "key, -b, b"),
    ("multivariate_normal", "key, v, p", "key, v, p, (3,)", "key, v, p, method='svd'"),
    ("beta", "key, b, b + 1", "key, 2.0, 3.0, (3,)"),
    ("gamma loggamma chisquare t", "key, b", "key, 2.5, (3, 4)"),
    ("f", "key, b, b + 1"),
    ("dirichlet", "key, b[0]", "key, b, (3,)"),
    ("poisson", "key, b", "key, 20.0, (3, 4)"),
    ("binomial", "key, 5, 0.3, (3, 4)", "key, 40, b / 3"),
    ("multinomial", "key, 10, r / r.sum()"),
    ("geometric", "key, b / 3", "key, 0.2, (4,)"),
    ("pareto rayleigh wald", "key, b", "key, 2.0, (3,)"),
    ("weibull_min", "key, b, b + 1", "key, 1.0, 2.0, (3,)"),
    ("double_sided_maxwell", "key, v, 2.0, (4,)"),
    ("triangular", "key, -b, xp.zeros((3, 4)), b"),
    ("lognormal", "key, 0.5, (3,)", "key"),
    ("generalized_normal", "key, 3.0, (4,)"),
    ("ball", "key, 3, 2.0, (2,)"),
    ("orthogonal", "key, 3", "key, 2, (2,)"),
)  # fmt: skip
