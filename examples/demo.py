"""A convolutional network learns to read handwritten digits, with nothing but nrx on NumPy.

    make demo                         # about ten seconds on two cores
    make demo DEMO_ARGS=--quick       # the same in a few epochs

Ctrl-C saves the work so far, and `--resume` goes on from there, to the same bits as without the break. The progress bar
and the pictures need `pip install nrx[plot]`.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products this small are not worth the waking of a second thread

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import nrx
from nrx import nn, optim

BATCH_SIZE = 32
LEARNING_RATE = 3e-3
INTERRUPTED = 130  # the exit status of a program ended by Ctrl-C

model = nn.sequential(
    nn.Conv(16, 3), nn.Relu,
    nn.Conv(32, 3), nn.Relu,
    nn.MaxPool(2), nn.Dropout(0.25),
    nn.Flatten, nn.Dense(10),
)  # fmt: skip


class Training(NamedTuple):
    """All there is to know of a training under way: a tree, which can be saved and loaded like any other."""

    params: Any
    optimizer: Any
    position: nrx.data.BatchState = nrx.data.BatchState()
    batches: tuple[tuple[float, float], ...] = ()  # loss and accuracy of every batch so far
    epochs: tuple[float, ...] = ()  # accuracy on the test digits after every epoch


def loss_and_accuracy(params: Any, digits: nrx.data.Digits, key: nrx.Array) -> tuple[nrx.Array, nrx.Array]:
    logits = model.apply(params, digits.images, key=key, train=True)
    losses = nn.softmax_cross_entropy_with_integer_labels(logits, digits.labels)
    return losses.mean(), (logits.argmax(-1) == digits.labels).mean()


@nrx.jit
def predict(params: Any, images: nrx.Array) -> nrx.Array:
    """The probabilities of the ten digits, for each image."""
    return nn.softmax(model.apply(params, images))


def accuracy(params: Any, digits: nrx.data.Digits) -> float:
    return float((predict(params, digits.images).argmax(-1) == digits.labels).mean())


def make_step(optimizer: optim.GradientTransformation) -> Callable:
    """The pure function that learns from one batch; `jit` traces it once."""

    @nrx.jit
    def step(params: Any, state: Any, batch: nrx.data.Digits, key: nrx.Array) -> tuple:
        (loss, correct), gradients = nrx.value_and_grad(loss_and_accuracy, has_aux=True)(params, batch, key)
        updates, state = optimizer.update(gradients, state, params)
        return optim.apply_updates(params, updates), state, loss, correct

    return step


def train(
    training: Training, step: Callable, digits: nrx.data.Digits, test: nrx.data.Digits, epochs: int, key: nrx.Array
) -> tuple[Training, bool]:
    """Learn until all epochs are done, or until Ctrl-C; returns how far it came, and whether that is the end."""
    order, dropout = nrx.random.split(key)
    data = nrx.data.batches(digits, BATCH_SIZE, key=order, epochs=epochs, start=training.position)
    pause = 0.1 if sys.stderr.isatty() else 5.0  # seconds between two reports: a log needs fewer of them
    try:
        with nrx.data.prefetch(data) as ahead, tqdm(total=len(data), unit="batch", mininterval=pause) as bar:
            start, seen = time.perf_counter(), 0
            for batch in ahead:
                batch_key = nrx.random.fold_in(dropout, len(training.batches))
                params, state, loss, correct = step(training.params, training.optimizer, batch, batch_key)
                ended = ahead.state.epoch > training.position.epoch
                # One assignment: whenever Ctrl-C comes, everything belongs together.
                training = Training(
                    params,
                    state,
                    ahead.state,
                    (*training.batches, (float(loss), float(correct))),
                    (*training.epochs, accuracy(params, test)) if ended else training.epochs,
                )
                seen += len(batch.labels)
                report(bar, training, seen / (time.perf_counter() - start))
    except KeyboardInterrupt:
        return training, False
    return training, True


def report(bar: tqdm, training: Training, speed: float) -> None:
    loss, correct = np.mean(training.batches[-20:], axis=0)
    bar.set_description(f"epoch {len(training.epochs)}", refresh=False)
    bar.set_postfix_str(f"loss {loss:.3f}, accuracy {correct:.1%}, {speed:,.0f} images/s", refresh=False)
    bar.update()


def save_and_load(params: Any, images: nrx.Array, folder: Path) -> list[Path]:
    """Save the parameters in two formats, and see that those loaded again predict the same, bit for bit."""
    expected = np.asarray(predict(params, images)).tobytes()
    formats = {
        folder / "parameters.nrx": (nrx.io.save, nrx.io.load),
        folder / "parameters.pkl": (nrx.io.save_pickle, nrx.io.load_pickle),
    }
    for path, (save, load) in formats.items():
        save(path, params)
        if np.asarray(predict(load(path), images)).tobytes() != expected:
            raise SystemExit(f"The parameters in {path} predict something else than those that were saved.")
    return list(formats)


def draw_learning_curve(training: Training, path: Path) -> None:
    losses, correct = np.transpose(training.batches)
    epochs = np.arange(1, len(training.epochs) + 1)
    per_epoch = len(losses) // len(epochs)
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogy(np.arange(len(losses)) / per_epoch, losses, color="lightsteelblue", linewidth=0.7, label="batches")
    left.semilogy(epochs, losses.reshape(-1, per_epoch).mean(1), "o-", markersize=3, label="epochs")
    left.set(title="Loss", xlabel="epoch")
    right.plot(epochs, correct.reshape(-1, per_epoch).mean(1), "o-", markersize=3, label="training, with dropout")
    right.plot(epochs, training.epochs, "o-", markersize=3, label="test")
    right.set(title="Accuracy", xlabel="epoch", ylim=(min(0.9, *training.epochs), 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def draw_predictions(params: Any, test: nrx.data.Digits, path: Path, rows: int = 6, columns: int = 12) -> None:
    """Test digits and what the network takes them for: first those it gets wrong, then the least certain."""
    probabilities = np.asarray(predict(params, test.images))
    images, labels, guesses = np.asarray(test.images), np.asarray(test.labels), probabilities.argmax(1)
    certainty = probabilities.max(1) + (guesses == labels)
    figure = Figure(figsize=(columns, 1.25 * rows), layout="constrained")
    figure.suptitle(
        f"{(guesses != labels).sum()} of {len(labels)} test digits are misread, marked red; then the hardest"
    )
    for axes, i in zip(figure.subplots(rows, columns).flat, np.argsort(certainty, kind="stable"), strict=False):
        right = guesses[i] == labels[i]
        axes.imshow(images[i, :, :, 0], cmap="gray_r")
        axes.set_title(
            f"{guesses[i]}" if right else f"{guesses[i]}, not {labels[i]}", color="black" if right else "red"
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="black" if right else "red", linewidth=0.5 if right else 3)
    figure.savefig(path, dpi=100)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few epochs, and a lower bar for the accuracy")
    parser.add_argument("--epochs", type=int, help="how often to go through the digits (25; with --quick 6)")
    parser.add_argument("--seed", type=int, default=0, help="of the initial parameters, the order and the dropout")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), metavar="DIR", help="where to put the files")
    parser.add_argument("--resume", action="store_true", help="go on with a training that Ctrl-C interrupted")
    options = parser.parse_args(argv)
    if options.epochs is None:
        options.epochs = 6 if options.quick else 25
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pkl"

    # The split has a key of its own, so that every seed is tested with the same digits.
    digits, test = nrx.data.split(nrx.data.load_digits(), 0.8, key=nrx.random.PRNGKey(2024))
    key, init_key = nrx.random.split(nrx.random.PRNGKey(options.seed))
    params = model.init(init_key, digits.images)
    steps = options.epochs * -(-len(digits.labels) // BATCH_SIZE)
    optimizer = optim.adamw(optim.cosine_decay_schedule(LEARNING_RATE, steps), weight_decay=1e-4)
    training = Training(params, optimizer.init(params))
    if options.resume:
        if not checkpoint.exists():
            print(f"There is no {checkpoint} to resume from.")
            return 2
        training = Training(*nrx.io.load_pickle(checkpoint))
    size = sum(p.size for p in nrx.tree.leaves(params))
    print(
        f"{len(digits.labels):,} digits to learn from, {len(test.labels)} to test with, {size:,} parameters to learn."
    )

    start = time.perf_counter()
    training, finished = train(training, make_step(optimizer), digits, test, options.epochs, key)
    seconds = time.perf_counter() - start
    if not finished:
        nrx.io.save_pickle(checkpoint, tuple(training))
        print(f"\nInterrupted after {len(training.batches)} of {steps} batches. The work so far is in {checkpoint}:")
        print("run it again with --resume (make demo DEMO_ARGS=--resume) to go on.")
        return INTERRUPTED

    saved = save_and_load(training.params, test.images, options.out)
    pictures = [options.out / "learning_curve.png", options.out / "predictions.png"]
    draw_learning_curve(training, pictures[0])
    draw_predictions(training.params, test, pictures[1])
    checkpoint.unlink(missing_ok=True)

    reached, bar = accuracy(training.params, test), 0.93 if options.quick else 0.97
    print(
        f"\nTest accuracy  {reached:.2%}, {round(reached * len(test.labels))} of {len(test.labels)}, in {seconds:.1f} s"
    )
    print(f"Parameters     {', '.join(map(str, saved))}: loaded again, they predict the same, bit for bit")
    print(f"Pictures       {', '.join(map(str, pictures))}")
    if reached < bar:
        print(f"The accuracy is below {bar:.0%}: something is wrong.")
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
