"""How much a run measures, and the window that most of it looks at."""

from __future__ import annotations

from dataclasses import dataclass

from trainviz import Domain

__all__ = ["DEFAULT", "FULL", "QUICK", "Scale", "demo_domain"]


@dataclass(frozen=True)
class Scale:
    """The sizes of one run.

    Attributes
    ----------
    epochs : int
        Of the seven-class demo.
    compare_every : int
        Dense evaluation checks the adaptive one every so many epochs.
    repeats : int
        Of a pair that takes seconds.
    pairs : int
        Of a pair that takes milliseconds.
    blocks, block_epochs : int
        Of training with and without captures, in turn.
    film, gif, sklearn_film, wide_film, large_film : tuple of int
        Snapshots, and frames from one to the next.
    cnn_side, classes_side, large_side : int
        Grid points along either axis.
    states : int
        Captured moments of the larger networks' training.
    memory_snapshots : tuple of int
        A short and a long recording.
    page : int
        Snapshots of a page.
    """

    epochs: int = 1000
    compare_every: int = 10
    repeats: int = 3
    pairs: int = 60
    blocks: int = 25
    block_epochs: int = 20
    film: tuple[int, int] = (126, 4)
    gif: tuple[int, int] = (51, 4)
    sklearn_film: tuple[int, int] = (60, 1)
    wide_film: tuple[int, int] = (16, 8)
    large_film: tuple[int, int] = (5, 8)
    cnn_side: int = 300
    classes_side: int = 200
    large_side: int = 1500
    states: int = 4
    memory_snapshots: tuple[int, int] = (100, 1000)
    page: int = 200


DEFAULT = Scale()
FULL = Scale(compare_every=1, repeats=7, pairs=200, blocks=50, states=8)
QUICK = Scale(
    epochs=20, compare_every=10, repeats=1, pairs=3, blocks=2, block_epochs=2,
    film=(6, 4), gif=(6, 2), sklearn_film=(4, 1), wide_film=(3, 3), large_film=(2, 3),
    cnn_side=48, classes_side=100, large_side=600, states=2, memory_snapshots=(5, 30), page=6,
)  # fmt: skip


def demo_domain() -> Domain:
    """Return the window of the seven-class demo: 381 x 361 points."""
    return Domain((-3, 15), (-5, 14), step=0.05)
