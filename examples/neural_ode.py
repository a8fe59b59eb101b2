"""A neural differential equation: a network learns the law of motion behind observed trajectories.

Points move on spirals, dy/dt = A y^3. From noisy observations of some trajectories a small network learns dy/dt as a
function of y. The loss is differentiated through the solver, Runge and Kutta's of fourth order in a `scan`, and `vmap`
runs that for all trajectories at once. (Chen, Rubanova, Bettencourt and Duvenaud, "Neural ordinary differential
equations", NeurIPS 2018.)

    python examples/neural_ode.py --plot spirals.png
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nrx
import nrx.numpy as jnp
from nrx import nn, optim

TIME_STEP = 0.1
SPIRAL = jnp.array([[-0.1, 2.0], [-2.0, -0.1]])

field = nn.sequential(nn.stateless(lambda y: y**3), nn.Dense(32), nn.Tanh, nn.Dense(2))


def spiral(y: nrx.Array) -> nrx.Array:
    return SPIRAL @ y**3


def solve(velocity: Callable[[nrx.Array], nrx.Array], start: nrx.Array, steps: int) -> nrx.Array:
    """The trajectory from one starting point: an array of shape (steps, 2), `TIME_STEP` apart."""

    def step(y: nrx.Array, _: Any) -> tuple[nrx.Array, nrx.Array]:
        k1 = velocity(y)
        k2 = velocity(y + TIME_STEP / 2 * k1)
        k3 = velocity(y + TIME_STEP / 2 * k2)
        k4 = velocity(y + TIME_STEP * k3)
        y = y + TIME_STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y, y

    return nrx.lax.scan(step, start, None, steps)[1]


def solve_all(velocity: Callable[[nrx.Array], nrx.Array], starts: nrx.Array, steps: int) -> nrx.Array:
    """The trajectories from many starting points (n, 2): an array of shape (n, steps, 2)."""
    return nrx.vmap(lambda start: solve(velocity, start, steps))(starts)


def learned(params: Any) -> Callable[[nrx.Array], nrx.Array]:
    return lambda y: field.apply(params, y)


def random_starts(key: nrx.Array, count: int) -> nrx.Array:
    return nrx.random.uniform(key, (count, 2), minval=-1.5, maxval=1.5)


def draw(params: Any, starts: nrx.Array, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    for velocity, style, label in ((spiral, "k-", "true"), (learned(params), "r--", "learned")):
        for i, trajectory in enumerate(solve_all(velocity, starts, 100)):
            axes.plot(trajectory[:, 0], trajectory[:, 1], style, linewidth=1, label=label if i == 0 else None)
    axes.set(title="Trajectories that were not observed", aspect="equal")
    axes.legend()
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of learning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to draw unseen trajectories")
    options = parser.parse_args(argv)

    start_key, noise_key, init_key, test_key = nrx.random.split(nrx.random.PRNGKey(options.seed), 4)
    starts, unseen = random_starts(start_key, 32), random_starts(test_key, 8)
    observed = solve_all(spiral, starts, 15)
    observed = observed + 0.01 * nrx.random.normal(noise_key, observed.shape)

    def loss(params: Any, starts: nrx.Array, observed: nrx.Array) -> nrx.Array:
        return nn.mean_squared_error(solve_all(learned(params), starts, observed.shape[1]), observed)

    optimizer = optim.adam(optim.cosine_decay_schedule(0.02, options.steps))

    @nrx.jit
    def learn(params: Any, state: Any) -> tuple[Any, Any, nrx.Array]:
        value, gradients = nrx.value_and_grad(loss)(params, starts, observed)
        updates, state = optimizer.update(gradients, state, params)
        return optim.apply_updates(params, updates), state, value

    params = field.init(init_key, (2,))
    state = optimizer.init(params)
    began = time.perf_counter()
    values = []
    for step in range(options.steps):
        params, state, value = learn(params, state)
        values.append(float(value))
        if step % max(options.steps // 10, 1) == 0 or step == options.steps - 1:
            print(f"step {step:4}   loss {values[-1]:.6f}   {time.perf_counter() - began:5.1f} s")

    error = float(loss(params, unseen, solve_all(spiral, unseen, 30)))
    print(f"Mean squared error on 8 trajectories that were not observed, twice as long: {error:.6f}")
    if options.plot:
        draw(params, unseen, options.plot)
        print(f"Drawn in {options.plot}")
    return int(values[-1] > values[0] / 2)


if __name__ == "__main__":
    sys.exit(main())
