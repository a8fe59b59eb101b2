"""A training step of a causal transformer with normalisation before each part, which predicts the next token."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import training
from benchmarks.cpu.workloads.training import Model

VOCABULARY = 256
EPSILON = 1e-5
#: Parameters of a layer.
PART = 12


def inputs(rng: np.random.Generator, layers: int, width: int, steps: int, batch: int) -> tuple[np.ndarray, ...]:
    """Tokens, the next tokens, and the parameters: embeddings, layers, and the head."""
    tokens = rng.integers(0, VOCABULARY, (batch, steps + 1)).astype(np.int32)
    inner = 4 * width
    attention = (width,), width, (width, 3 * width), 3 * width, (width, width), width
    dense = (width,), width, (width, inner), inner, (inner, width), width
    shapes = (VOCABULARY, width), (steps, width), *(attention + dense) * layers, (width,), width, (width, VOCABULARY)
    return tokens[:, :-1].copy(), tokens[:, 1:].copy(), *training.parameters(rng, *shapes)


def parts(params: Any) -> Any:
    """The embeddings, the layers, and the head."""
    return params[:2], [params[i : i + PART] for i in range(2, len(params) - 3, PART)], params[-3:]


def normalised(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * scale + shift


def in_numpy(params: Any, x: np.ndarray, labels: np.ndarray, heads: int) -> Any:
    (tokens, places), layers, (scale, shift, head) = parts(params)
    y = tokens[x] + places
    later = np.triu(np.ones((x.shape[1], x.shape[1]), bool), 1)
    for s1, b1, to_qkv, qkv_bias, to_out, out_bias, s2, b2, up, up_bias, down, down_bias in layers:
        qkv = (normalised(y, s1, b1) @ to_qkv + qkv_bias).reshape(*x.shape, 3, heads, -1)
        q, k, v = np.moveaxis(qkv, (2, 3), (0, 2))
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        scores[..., later] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        y = y + mixed.swapaxes(1, 2).reshape(y.shape) @ to_out + out_bias
        z = normalised(y, s2, b2) @ up + up_bias
        y = y + z * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) @ down + down_bias
    return training.cross_entropy(normalised(y, scale, shift) @ head, labels)


def like_jax(library: Any, params: Any, x: Any, labels: Any, heads: int) -> Any:
    nn, lax = library.nn, library.lax
    (tokens, places), layers, (scale, shift, head) = parts(params)

    def norm(x: Any, scale: Any, shift: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + EPSILON) * scale + shift

    y = tokens[x] + places
    for s1, b1, to_qkv, qkv_bias, to_out, out_bias, s2, b2, up, up_bias, down, down_bias in layers:
        qkv = (norm(y, s1, b1) @ to_qkv + qkv_bias).reshape(*x.shape, 3, heads, -1)
        mixed = nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], is_causal=True)
        y = y + mixed.reshape(y.shape) @ to_out + out_bias
        y = y + nn.gelu(norm(y, s2, b2) @ up + up_bias) @ down + down_bias
    return training.like_jax_cross_entropy(library, norm(y, scale, shift) @ head, labels)


def in_torch(torch: Any, params: Any, x: Any, labels: Any, heads: int) -> Any:
    """Kernels lie as in the other libraries, and `linear` takes their transposes, which are views."""
    functional = torch.nn.functional
    (tokens, places), layers, (scale, shift, head) = parts(params)

    def norm(x: Any, scale: Any, shift: Any) -> Any:
        return functional.layer_norm(x, x.shape[-1:], scale, shift, EPSILON)

    y = functional.embedding(x, tokens) + places
    for s1, b1, to_qkv, qkv_bias, to_out, out_bias, s2, b2, up, up_bias, down, down_bias in layers:
        qkv = functional.linear(norm(y, s1, b1), to_qkv.t(), qkv_bias).view(*x.shape, 3, heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y + functional.linear(mixed.transpose(1, 2).reshape(y.shape), to_out.t(), out_bias)
        z = functional.linear(norm(y, s2, b2), up.t(), up_bias)
        y = y + functional.linear(functional.gelu(z, approximate="tanh"), down.t(), down_bias)
    logits = functional.linear(norm(y, scale, shift), head.t())
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def cases(layers: int = 4, width: int = 256, heads: int = 8, steps: int = 128, batch: int = 8) -> list[Case]:
    model = Model(partial(like_jax, heads=heads), partial(in_torch, heads=heads))
    matrices = layers * 12 * width**2 + width * VOCABULARY
    products = 2.0 * batch * steps * (matrices + layers * 2 * steps * width)
    return [
        Case(
            name="transformer",
            title=f"transformer training step with Adam, {layers} layers of {width}, {steps} tokens, batch {batch}",
            inputs=partial(inputs, layers=layers, width=width, steps=steps, batch=batch),
            reference=partial(training.slope_reference, partial(in_numpy, heads=heads)),
            tolerance=1e-4,
            tasks=training.tasks(model),
            targets={"jax": 1.5, "torch": 1.0},
            note=training.NOTE,
            work=training.work(products, matrices),
            is_training=True,
        )
    ]
