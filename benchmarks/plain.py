"""The pipelines that people write without trainviz."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import imageio_ffmpeg
import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from matplotlib import pyplot as plt
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

from benchmarks.workloads import Trained
from trainviz import Domain

__all__ = ["FIGSIZE", "FPS", "X264", "display_film", "encode", "func_animation", "version_one_map"]

FPS = 25
"""GIF counts time in hundredths of a second: at 25 a frame lasts 4 of them everywhere."""

FIGSIZE = (6.4, 4.8)
"""640 x 480 pixels at 100 dots an inch."""

X264 = {"preset": "veryfast", "crf": 18}

_ARGUMENTS = ["-preset", str(X264["preset"]), "-crf", str(X264["crf"])]

Maps = Sequence[npt.NDArray[np.float32]]


def func_animation(
    path: Path,
    maps: Maps,
    extent: tuple[float, float, float, float],
    interpolate: int,
    mode: Literal["region", "boundary"],
) -> None:
    """Write maps that are all in memory through ``imshow`` and ``FuncAnimation``."""
    figure, ax = plt.subplots(figsize=FIGSIZE, dpi=100)
    look = _look(mode, len(maps[0]))
    image = ax.imshow(_mixed(maps, 0, interpolate, mode), extent=extent, origin="lower", **look)
    ax.set_title("frame 0")

    def update(frame: int) -> list[Any]:
        image.set_data(_mixed(maps, frame, interpolate, mode))
        ax.set_title(f"frame {frame}")
        return [image]

    frames = (len(maps) - 1) * interpolate + 1
    animation = FuncAnimation(figure, update, frames=frames, cache_frame_data=False)
    animation.save(path, writer=PillowWriter(fps=FPS) if path.suffix == ".gif" else _x264())
    plt.close(figure)


def display_film(path: Path, trained: Trained, indices: Sequence[int]) -> None:
    """Evaluate and draw each state by scikit-learn's ``DecisionBoundaryDisplay``."""
    from sklearn.inspection import DecisionBoundaryDisplay

    assert trained.data is not None
    X, y = trained.data
    # As many points as the window's grid has, on a square.
    resolution = round(trained.domain.n_points**0.5)
    figure, ax = plt.subplots(figsize=FIGSIZE, dpi=100)
    writer = _x264()
    with writer.saving(figure, str(path), dpi=100):
        for index in indices:
            ax.clear()
            trained.at(index)
            DecisionBoundaryDisplay.from_estimator(
                _estimator(trained), X, ax=ax, grid_resolution=resolution,
                response_method="predict", plot_method="pcolormesh",
            )  # fmt: skip
            ax.scatter(X[:, 0], X[:, 1], c=y, cmap="tab10", s=8)
            ax.set_title(f"epoch {index}")
            writer.grab_frame()
    plt.close(figure)


def version_one_map(model: torch.nn.Module, domain: Domain) -> torch.Tensor:
    """Capture as version 1.0 did: the grid made anew, every point asked for, with a graph."""
    x, y = (torch.tensor(axis) for axis in (domain.x, domain.y))
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2).float()
    highest = torch.softmax(model(points), dim=1).max(dim=1).values
    return highest.detach().reshape(domain.shape)


def encode(path: Path, frames: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Feed ready frames to x264, and do nothing else."""
    height, width = frames[0].shape[:2]
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS),
        "-i", "-", "-an", "-c:v", "libx264", *_ARGUMENTS, "-pix_fmt", "yuv420p", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame.data)
    if process.returncode:
        raise RuntimeError(f"ffmpeg ended with status {process.returncode}")


def _mixed(maps: Maps, frame: int, interpolate: int, mode: str) -> npt.NDArray[Any]:
    left, step = divmod(frame, interpolate)
    mixed = maps[left]
    if step:
        share = np.float32(step / interpolate)
        mixed = (1 - share) * maps[left] + share * maps[left + 1]
    return mixed.argmax(axis=0) if mode == "region" else mixed.max(axis=0)


def _look(mode: str, n_classes: int) -> dict[str, Any]:
    if mode == "region":
        return {"cmap": "tab10", "vmin": 0, "vmax": max(n_classes - 1, 9)}
    return {"cmap": "plasma_r", "vmin": 1 / n_classes, "vmax": 1}


def _x264() -> FFMpegWriter:
    matplotlib.rcParams["animation.ffmpeg_path"] = imageio_ffmpeg.get_ffmpeg_exe()
    return FFMpegWriter(fps=FPS, codec="libx264", extra_args=[*_ARGUMENTS, "-pix_fmt", "yuv420p"])


def _estimator(trained: Trained) -> Any:
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Fitted(ClassifierMixin, BaseEstimator):
        def __init__(self) -> None:
            self.classes_ = np.unique(trained.data[1])  # type: ignore[index]

        def fit(self, X: Any, y: Any) -> Any:
            return self

        def predict(self, X: Any) -> npt.NDArray[np.intp]:
            return trained.predictor(np.asarray(X)).argmax(axis=1)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    return Fitted()
