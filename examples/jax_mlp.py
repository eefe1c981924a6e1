"""JAX: a network in plain functions learns the five arms of a pinwheel.

Shows ``Recorder``, which belongs to no framework: it takes a callable from
points to outputs, so that one line in the loop is all that a training of your
own needs. With Flax it is ``lambda X: model.apply(variables, X)``, with Equinox
``jax.vmap(model)``. JAX compiles a function for every number of points; the dense
evaluation asks for the same number each time, the adaptive one does not.

Run it (about 20 seconds):

    python examples/jax_mlp.py --epochs 60
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import trainviz as tv

OUT = Path(__file__).with_name("output")
Params = list[tuple[jax.Array, jax.Array]]


def make_pinwheel(rng: np.random.Generator, arms: int = 5, each: int = 80) -> tuple:
    radius = np.abs(rng.normal(1, 0.35, (arms, each)))
    angle = 2 * np.pi * np.arange(arms)[:, None] / arms + 1.4 * radius
    angle = angle + rng.normal(0, 0.12, (arms, each))
    X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    return X.astype(np.float32), np.repeat(np.arange(arms), each)


def init(key: jax.Array, sizes: list[int]) -> Params:
    params = []
    for key_of_layer, (n, m) in zip(
        jax.random.split(key, len(sizes) - 1), itertools.pairwise(sizes), strict=True
    ):
        params.append((jax.random.normal(key_of_layer, (n, m)) / jnp.sqrt(n), jnp.zeros(m)))
    return params


@jax.jit
def logits(params: Params, X: jax.Array) -> jax.Array:
    for weights, bias in params[:-1]:
        X = jnp.tanh(X @ weights + bias)
    weights, bias = params[-1]
    return X @ weights + bias


def loss(params: Params, X: jax.Array, y: jax.Array) -> jax.Array:
    return -jax.nn.log_softmax(logits(params, X))[jnp.arange(len(y)), y].mean()


@jax.jit
def step(params: Params, X: jax.Array, y: jax.Array) -> tuple[Params, jax.Array]:
    value, gradients = jax.value_and_grad(loss)(params, X, y)
    return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradients), value


def main() -> None:
    parser = argparse.ArgumentParser(description="A JAX network learns a pinwheel.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(0)
    X, y = make_pinwheel(rng)
    params = init(jax.random.key(0), [2, 32, 32, 5])

    recorder = tv.Recorder(
        tv.Domain.around(X, margin=0.15, resolution=300), output="logits", evaluation="dense",
        data=(X, y), class_names=[f"arm {k + 1}" for k in range(5)],
    )  # fmt: skip
    recorder.capture(partial(logits, params), epoch=0)
    for epoch in range(args.epochs):
        losses = []
        for batch in np.array_split(rng.permutation(len(X)), len(X) // 20):
            params, value = step(params, X[batch], y[batch])
            losses.append(float(value))
        metrics = {"loss": np.mean(losses)}
        recorder.capture(partial(logits, params), epoch=epoch + 1, metrics=metrics)

    film = tv.animate(
        recorder.recording, interpolate=4, interpolation="smooth", hold=1.5,
        title="Pinwheel", subtitle="MLP 2-32-32-5, tanh, SGD, in JAX",
    )  # fmt: skip
    print(film.save(args.out / "pinwheel.mp4"))
    still = args.out / "pinwheel.png"
    film.still(still)
    print(still)


if __name__ == "__main__":
    main()
