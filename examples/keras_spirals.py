"""Keras 3: a network unwinds three spirals, on any backend.

Shows ``KerasRecorder`` as one more callback of ``fit``, and a film for dark slides.

Run it (about 15 seconds):

    KERAS_BACKEND=tensorflow python examples/keras_spirals.py --epochs 40

``KERAS_BACKEND`` may also be ``torch`` or ``jax``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import trainviz as tv

OUT = Path(__file__).with_name("output")


def make_spirals(points_each: int = 150, arms: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(arms), points_each)
    radius = np.tile(np.linspace(0.15, 1, points_each), arms)
    angle = 2 * np.pi * (1.25 * radius + y / arms) + rng.normal(0, 0.15, len(y))
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X.astype("float32"), y


def main() -> None:
    parser = argparse.ArgumentParser(description="A Keras model learns three spirals.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the films")
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(0)
    X, y = make_spirals()
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.005),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

    names = ["first arm", "second arm", "third arm"]
    recorder = tv.KerasRecorder(
        tv.Domain.around(X), data=(X, y), class_names=names, evaluation="adaptive"
    )
    model.fit(X, y, batch_size=32, epochs=args.epochs, verbose=0, callbacks=[recorder])

    film = tv.animate(
        recorder.recording, interpolate=4, interpolation="smooth", hold=1.5, dark=True,
        title="Three spirals", subtitle="MLP 2-64-64-3, ReLU, Adam",
    )  # fmt: skip
    print(film.save(args.out / "spirals.mp4"))
    still = args.out / "spirals.png"
    film.still(still)
    print(still)


if __name__ == "__main__":
    main()
