"""Neural networks from pure functions: activations, losses, and layers whose parameters are trees of arrays.

The layers so far are `Dense`, `Conv`, `MaxPool`, `AvgPool`, `Flatten`, `Dropout` and the activations; attention is a
function, `dot_product_attention`. Others are written with `nrx.numpy` and `nrx.lax`.

>>> import nrx
>>> model = nrx.nn.sequential(nrx.nn.Conv(8, 3), nrx.nn.Relu, nrx.nn.Flatten, nrx.nn.Dense(10))
>>> params = model.init(nrx.random.PRNGKey(0), (1, 8, 8, 1))
>>> logits = model.apply(params, nrx.numpy.zeros((2, 8, 8, 1)))
>>> nrx.nn.softmax_cross_entropy_with_integer_labels(logits, nrx.numpy.array([3, 7])).round(3)
Array([2.303, 2.303], dtype=float32)
"""

from nrx.nn import initializers
from nrx.nn.activations import (
    elu,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    one_hot,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    standardize,
    swish,
    tanh,
)
from nrx.nn.functional import avg_pool, conv, dense, dropout, flatten, max_pool
from nrx.nn.gates import (
    celu,
    dot_product_attention,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    log1mexp,
    logmeanexp,
    mish,
    soft_sign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
)
from nrx.nn.layers import (
    AvgPool,
    Conv,
    Dense,
    Dropout,
    Elu,
    Flatten,
    Gelu,
    Layer,
    LogSoftmax,
    MaxPool,
    Relu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
    sequential,
    stateless,
)
from nrx.nn.losses import (
    mean_squared_error,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)

__all__ = [
    # activations
    "elu", "gelu", "leaky_relu", "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "swish", "tanh",
    "log_softmax", "logsumexp", "one_hot", "softmax", "standardize",
    "celu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "log1mexp", "logmeanexp", "mish",
    "soft_sign", "sparse_plus", "sparse_sigmoid", "squareplus", "dot_product_attention",
    # losses
    "mean_squared_error", "sigmoid_binary_cross_entropy", "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    # what layers compute
    "avg_pool", "conv", "dense", "dropout", "flatten", "max_pool",
    # layers
    "Layer", "sequential", "stateless", "AvgPool", "Conv", "Dense", "Dropout", "Elu", "Flatten", "Gelu", "LogSoftmax",
    "MaxPool", "Relu", "Sigmoid", "Silu", "Softmax", "Softplus", "Tanh",
    # initial values
    "initializers",
]  # fmt: skip
