"""
A callback for Keras
====================

``KerasRecorder`` is one more callback of ``fit``, on the TensorFlow, torch and JAX backends
alike. At first each class has a wedge; within twenty epochs they wind themselves into spirals,
while the accuracy rises from a third to 1.
"""

# %%
# Keras reads its backend from the environment when it is imported.

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import trainviz as tv

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
y = np.repeat(np.arange(3), 120)
radius = np.tile(np.linspace(0.15, 1, 120), 3)
angle = 2 * np.pi * (1.25 * radius + y / 3) + rng.normal(0, 0.15, len(y))
X = (radius * np.stack([np.cos(angle), np.sin(angle)])).T.astype("float32")

# %%
# What ``compile`` names as metrics becomes the curves of the film.

model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)
recorder = tv.KerasRecorder(
    tv.Domain.around(X, resolution=140), data=(X, y), class_names=["first", "second", "third"]
)
model.fit(X, y, batch_size=32, epochs=40, verbose=0, callbacks=[recorder])

# %%
tv.animate(recorder.recording, interpolate=4, hold=1.5, title="Three spirals")
