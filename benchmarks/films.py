"""How fast films are written, and how large they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import matplotlib
import numpy as np

from benchmarks import plain
from benchmarks.measure import Row, Times, case, interleave
from benchmarks.scale import Scale
from benchmarks.workloads import (
    Trained,
    dense_map,
    hundred_classes,
    record,
    seven_classes,
    spread,
)
from trainviz import Animation, Domain, Recording, animate, open_recording
from trainviz.rendering.film import Film as SavedFilm
from trainviz.rendering.painter import map_reader

__all__: list[str] = []

matplotlib.use("Agg")

Film = Callable[[Path], Any]

_MODES = ("region", "boundary")


@case("film-funcanimation")
def film_funcanimation(scale: Scale) -> list[Row]:
    """Write the same maps as matplotlib does. Its region mode paints no shades."""
    snapshots, interpolate = scale.film
    trained = seven_classes(scale.epochs)
    return [
        _against_matplotlib(f"film-funcanimation/{mode}", trained, snapshots, interpolate, mode,
                            scale.repeats, f"MP4 640x480, {mode} mode", ">= 12")
        for mode in _MODES
    ]  # fmt: skip


@case("film-sklearn")
def film_sklearn(scale: Scale) -> list[Row]:
    """Evaluate and draw every state: here capturing belongs to the film's time."""
    trained = seven_classes(scale.epochs)
    indices = spread(scale.epochs, scale.sklearn_film[0])
    names = ("trainviz", "DecisionBoundaryDisplay")

    def ours(path: Path) -> None:
        _save(_animation(record(trained, indices), 1), path)

    def theirs(path: Path) -> None:
        plain.display_film(path, trained, indices)

    times, _ = _in_turn({names[0]: ours, names[1]: theirs}, ".mp4", len(indices), scale.repeats)
    return [Row("film-sklearn", "capture and MP4 640x480, a frame a snapshot",
                "DecisionBoundaryDisplay redrawn", times.ratio(*names[::-1]),
                note=_speeds(times, len(indices)), times=times)]  # fmt: skip


@case("film-encoder")
def film_encoder(scale: Scale) -> list[Row]:
    """Feed the film's own frames to the encoder, ready made."""
    recording, rows = _record_demo(scale, scale.film[0]), []
    with tempfile.TemporaryDirectory() as folder:
        stored = str(Path(folder) / "recording.zarr")
        recording.save(stored)
        for mode in _MODES:
            for interpolate, goal in ((scale.film[1], ">= 0.8"), (1, ">= 0.6")):
                rows += _against_encoder(recording, stored, mode, interpolate, goal, scale.repeats)
    return rows


def _against_encoder(
    recording: Recording, stored: str, mode: str, interpolate: int, goal: str, repeats: int
) -> list[Row]:
    frames = [np.ascontiguousarray(frame) for frame in _animation(recording, interpolate, mode)]

    def from_memory(path: Path) -> None:
        _save(_animation(recording, interpolate, mode), path)

    def from_disk(path: Path) -> None:
        _save(_animation(open_recording(stored), interpolate, mode), path)

    def encoder(path: Path) -> None:
        plain.encode(path, frames)

    actions: dict[str, Film] = {"memory": from_memory, "disk": from_disk, "encoder": encoder}
    times, _ = _in_turn(actions, ".mp4", len(frames), repeats + 2)
    what = f"MP4 640x480, {mode} mode, interpolate={interpolate}, from"
    return [
        Row(f"film-encoder/{mode}-{interpolate}-{source}", f"{what} {source}: share of",
            "the pure encoder's speed", times.ratio("encoder", source), goal,
            note=_speeds(times, len(frames)), times=times)
        for source in ("memory", "disk")
    ]  # fmt: skip


@case("film-floor")
def film_floor(scale: Scale) -> list[Row]:
    """Save films whose frames are ready, and then read their maps as well, but paint nothing.

    What is left of the encoder's speed is the most that a film could have, however fast it
    were painted.
    """
    recording, rows = _record_demo(scale, scale.film[0]), []
    with tempfile.TemporaryDirectory() as folder:
        stored = str(Path(folder) / "recording.zarr")
        recording.save(stored)
        for interpolate in (scale.film[1], 1):
            rows += _unpainted(recording, stored, interpolate, scale.repeats)
    return rows


def _unpainted(recording: Recording, stored: str, interpolate: int, repeats: int) -> list[Row]:
    frames = [np.ascontiguousarray(frame) for frame in _animation(recording, interpolate)]

    def save(of: Recording, path: Path, *, is_read: bool = True) -> None:
        _save(_Unpainted(_animation(of, interpolate), frames, interpolate, is_read=is_read), path)

    actions: dict[str, Film] = {
        "nothing": lambda path: save(recording, path, is_read=False),
        "memory": lambda path: save(recording, path),
        "disk": lambda path: save(open_recording(stored), path),
        "encoder": lambda path: plain.encode(path, frames),
    }
    times, _ = _in_turn(actions, ".mp4", len(frames), repeats + 2)
    read = {"nothing": "no map read", "memory": "maps from memory", "disk": "maps from disk"}
    return [
        Row(f"film-floor/{interpolate}-{source}",
            f"MP4 640x480, interpolate={interpolate}, nothing painted, {what}: share of",
            "the pure encoder's speed", times.ratio("encoder", source),
            note=_speeds(times, len(frames)), times=times)
        for source, what in read.items()
    ]  # fmt: skip


class _Unpainted(SavedFilm):
    """A film whose frames are ready; its surroundings are drawn, and its maps read, if they are to
    be, as for a film that is painted.
    """

    def __init__(
        self, film: Animation, frames: list[Any], interpolate: int, *, is_read: bool
    ) -> None:
        self._of, self._ready, self.fps = film, frames, film.fps
        self._interpolate, self._is_read = interpolate, is_read

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def shape(self) -> tuple[int, int]:
        return self._of.shape

    def _painter(self, *, reader: Executor | None = None) -> Callable[[int], Any]:
        read = map_reader(self._of.recording, reader)

        def frame(index: int) -> Any:
            snapshot, between = divmod(index, self._interpolate)
            if self._is_read and not between:
                read(snapshot)
            return self._ready[index].copy()

        return frame


@case("film-100-classes")
def film_100_classes(scale: Scale) -> list[Row]:
    """Write maps whose size is in their classes."""
    trained = hundred_classes(scale.classes_side, max(scale.wide_film[0] - 1, 1))
    return [_against_matplotlib("film-100-classes", trained, *scale.wide_film, "region",
                                scale.repeats, "MP4 640x480, 100 classes", ">= 8")]  # fmt: skip


@case("film-large-grid")
def film_large_grid(scale: Scale) -> list[Row]:
    """Write maps that are larger than the film."""
    demo, side = seven_classes(scale.epochs), scale.large_side
    trained = demo.on(Domain(demo.domain.xlim, demo.domain.ylim, points_per_axis=side))
    what = f"MP4 640x480, grid {side}x{side}"
    return [_against_matplotlib("film-large-grid", trained, *scale.large_film, "region",
                                scale.repeats, what, None)]  # fmt: skip


@case("gif")
def gif(scale: Scale) -> list[Row]:
    """Write GIFs of like content: plain regions on either side, or probabilities."""
    snapshots, interpolate = scale.gif
    trained, rows = seven_classes(scale.epochs), []
    for mode in _MODES:
        actions, frames = _both(trained, snapshots, interpolate, mode, shade=False)
        times, sizes = _in_turn(actions, ".gif", frames, scale.repeats)
        note = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items())
        rows += [
            Row(f"gif/{mode}-time", f"GIF 640x480, {mode} mode", "PillowWriter",
                times.ratio("matplotlib", "trainviz"), ">= 15",
                note=_speeds(times, frames), times=times),
            Row(f"gif/{mode}-size", f"GIF file size, {mode} mode", "PillowWriter",
                [sizes["trainviz"] / sizes["matplotlib"]], "<= 1", note=note),
        ]  # fmt: skip
    return rows


def _against_matplotlib(
    name: str,
    trained: Trained,
    snapshots: int,
    interpolate: int,
    mode: Any,
    repeats: int,
    what: str,
    goal: str | None,
) -> Row:
    actions, frames = _both(trained, snapshots, interpolate, mode)
    times, _ = _in_turn(actions, ".mp4", frames, repeats)
    return Row(name, what, "FuncAnimation", times.ratio("matplotlib", "trainviz"), goal,
               note=_speeds(times, frames), times=times)  # fmt: skip


def _both(
    trained: Trained, snapshots: int, interpolate: int, mode: Any, **options: Any
) -> tuple[dict[str, Film], int]:
    """Return the film by trainviz and by matplotlib, and how many frames either has.

    Matplotlib is given the maps ready made; trainviz has to read its recording.
    """
    indices = spread(len(trained.states) - 1, snapshots)
    recording = record(trained, indices)
    maps = [dense_map(trained, index) for index in indices]
    extent = trained.domain.extent

    def ours(path: Path) -> None:
        _save(_animation(recording, interpolate, mode, **options), path)

    def theirs(path: Path) -> None:
        plain.func_animation(path, maps, extent, interpolate, mode)

    return {"trainviz": ours, "matplotlib": theirs}, (len(indices) - 1) * interpolate + 1


def _in_turn(
    films: dict[str, Film], suffix: str, frames: int, repeats: int
) -> tuple[Times, dict[str, int]]:
    """Time films in turn; return the seconds and the files' sizes."""
    _warm_up()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"film {number}{suffix}" for number, name in enumerate(films)}
        actions = {
            name: lambda _, film=film, path=paths[name]: film(path) for name, film in films.items()
        }
        times = interleave(actions, repeats)
        for path in paths.values():
            _check_length(path, frames)
        return times, {name: path.stat().st_size for name, path in paths.items()}


@cache
def _warm_up() -> None:
    """Make the first film of either kind: fonts, imports and caches are no matter of speed."""
    trained = seven_classes(1)
    recording, maps = record(trained, [0, 1]), [dense_map(trained, index) for index in (0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".mp4", ".gif"):
            _save(_animation(recording, 1), Path(folder) / f"ours{suffix}")
            path = Path(folder) / f"theirs{suffix}"
            plain.func_animation(path, maps, trained.domain.extent, 1, "region")
        plain.display_film(Path(folder) / "display.mp4", trained, [0])


def _check_length(path: Path, frames: int) -> None:
    # Equal pictures may be one in a GIF, so only films are counted.
    if path.suffix == ".mp4":
        written = imageio_ffmpeg.count_frames_and_secs(str(path))[0]
        if written != frames:
            raise RuntimeError(f"{path.name} has {written} frames instead of {frames}")


def _record_demo(scale: Scale, snapshots: int) -> Recording:
    return record(seven_classes(scale.epochs), spread(scale.epochs, snapshots))


def _animation(
    recording: Recording, interpolate: int, mode: str = "region", **options: Any
) -> Animation:
    return animate(
        recording, mode=mode, interpolate=interpolate, fps=plain.FPS, figsize=plain.FIGSIZE,
        dpi=100, **options,
    )  # fmt: skip


def _save(film: Animation, path: Path) -> None:
    film.save(path, progress=False, **(plain.X264 if path.suffix == ".mp4" else {}))


def _speeds(times: Times, frames: int) -> str:
    return f"{frames} frames: " + ", ".join(times.speed(name, frames) for name in times)
