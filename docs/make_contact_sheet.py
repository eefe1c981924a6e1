"""Draw 40 pictures that differ in mode, style, theme, number of classes and points, on one sheet.

    python docs/make_contact_sheet.py sheet.png

The tests compare each with its tile in ``tests/rendering/contact_sheet.png``, which is drawn anew
by giving that path. Look at it before it is committed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import trainviz as tv

COLUMNS, TILE = 8, (160, 120)

Pixels = npt.NDArray[np.uint8]


@cache
def recording_of(n_classes: int) -> tv.Recording:
    """Return a softmax model of squared distances that becomes surer, with train and test data."""
    if n_classes == 1:
        return _regression()
    rng = np.random.default_rng(n_classes)
    # Spread evenly over a disc (Vogel, 1979).
    turns, radius = (
        np.arange(n_classes) * 2.39996,
        np.sqrt((np.arange(n_classes) + 0.5) / n_classes),
    )
    centres = 5 * radius[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    each = max(4, 90 // n_classes)
    labels, spread = np.repeat(np.arange(n_classes), each), 3.2 / np.sqrt(n_classes)
    points = centres[labels] + rng.normal(0, spread, (len(labels), 2))
    is_test = rng.random(len(labels)) < 0.3
    recorder = tv.Recorder(
        tv.Domain((-6, 6), (-6, 6), points_per_axis=150), evaluation="dense",
        data={
            "train": (points[~is_test], labels[~is_test]),
            "test": (points[is_test], labels[is_test]),
        },
        class_names=[f"class {number}" for number in range(n_classes)],
    )  # fmt: skip

    def predict(sharpness: float) -> Any:
        def probabilities(X: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            distance = ((X[:, None] - centres) ** 2).sum(axis=2)
            weights = np.exp(-sharpness * (distance - distance.min(axis=1, keepdims=True)))
            return weights / weights.sum(axis=1, keepdims=True)

        return probabilities

    for epoch, sharpness in ((0, 0.02), (5, 0.1), (20, 0.06 * n_classes)):
        recorder.capture(predict(sharpness), epoch=epoch, metrics={"loss": 1 / (1 + epoch)})
    return recorder.recording


def _regression() -> tv.Recording:
    recorder = tv.Recorder(
        tv.Domain((-6, 6), (-6, 6), points_per_axis=150), evaluation="dense", output="values"
    )
    recorder.capture(lambda X: np.sin(X[:, 0]) * X[:, 1], epoch=20)
    return recorder.recording


def scenes() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield the name, the number of classes and the options of each picture."""
    for n_classes, mode, dark in product((2, 7, 30, 100), ("region", "boundary"), (False, True)):
        yield "", n_classes, {"mode": mode, "dark": dark}
    for n_classes, style in product(
        (2, 7, 30), ("paper", "slides", "poster", "notebook", "minimal")
    ):
        yield "", n_classes, {"style": style, "dark": style == "slides"}
    for mode, dark in product(("entropy", "margin", "change"), (False, True)):
        yield "", 7, {"mode": mode, "dark": dark, "points": False}
    yield "values", 1, {"mode": "values"}
    yield "double column", 7, {"style": "paper", "column": "double", "metrics": True}
    yield "crosses", 7, {"errors": "cross", "highlight": [0, 5]}


def name_of(title: str, n_classes: int, options: dict[str, Any]) -> str:
    """Return what tells a picture from the others."""
    parts = [title, f"{n_classes} classes", options.get("mode", "region"), options.get("style", "")]
    return " ".join(filter(None, [*parts, "dark" if options.get("dark") else ""]))


def draw(n_classes: int, options: dict[str, Any]) -> Pixels:
    """Draw a picture at the size of a tile."""
    figure = tv.animate(recording_of(n_classes), title="Title", **options).still()
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    picture.thumbnail(TILE, Image.Resampling.LANCZOS)
    tile = Image.new("RGB", TILE, "#808080")
    tile.paste(picture, ((TILE[0] - picture.width) // 2, (TILE[1] - picture.height) // 2))
    return np.asarray(tile)


def main(path: str) -> None:
    """Draw the sheet."""
    tiles = [draw(n_classes, options) for _, n_classes, options in scenes()]
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * TILE[1], COLUMNS * TILE[0], 3), 128, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        sheet[row * TILE[1] :, column * TILE[0] :][: TILE[1], : TILE[0]] = tile
    Image.fromarray(sheet).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
