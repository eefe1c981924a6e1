"""The interface of version 1.0: two functions over everything else.

A script that says ``maps.append(make_map(...))`` in its loop and
``plot_maps(maps, "film.mp4")`` after it runs unchanged; see the README for
what the recorder does better.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import TINY, Image
from trainviz._common.checks import is_positive
from trainviz._common.random_state import host_rng_preserved
from trainviz.domain.domain import Domain
from trainviz.errors import RecordingError
from trainviz.evaluation.evaluator import evaluate
from trainviz.evaluation.outputs import Output
from trainviz.modes.palettes import class_colors, sequential_table
from trainviz.modes.pixels import packed, unpacked
from trainviz.rendering.figure.options import check_fps, check_size
from trainviz.rendering.writers import FILM_SUFFIXES, FrameSource, check_path, write_film

__all__ = ["MapsAnimation", "make_map", "plot_maps"]

MapArray = npt.NDArray[np.float64]


def make_map(
    model: Any,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    map_type: Literal["boundary", "region"] = "boundary",
    axial_gradation: float = 0.05,
    square_axis_points: int | None = None,
    epoch_num: int | None = None,
    epoch_freq: int | None = None,
    *,
    output: Output = "logits",
) -> MapArray | None:
    """Evaluate a PyTorch model of two features on a window and keep one number a point.

    Parameters
    ----------
    model : nn.Module
        In any mode and on any device; both are as before afterwards. What has
        a ``predict_proba`` (a scikit-learn classifier) is taken too.
    xlim, ylim : tuple of float
        The window.
    map_type : {"boundary", "region"}, default "boundary"
        ``"boundary"``: the highest class probability; ``"region"``: the index
        of the likeliest class.
    axial_gradation : float, default 0.05
        The distance of neighbouring points; not used with ``square_axis_points``.
    square_axis_points : int, optional
        This many points along either axis.
    epoch_num, epoch_freq : int, optional
        Only when ``epoch_num`` is a multiple of ``epoch_freq`` is a map made.
    output : {"logits", "probabilities", "log_probabilities"}, default "logits"
        What the model returns; one column is a binary model's.

    Returns
    -------
    ndarray of float64 or None
        Shape ``(int((y1 - y0) / g), int((x1 - x0) / g))`` for the gradation g,
        or square; row 0 is ``ylim[0]``. None on a skipped epoch.

    Raises
    ------
    ValueError
        If the map type is unknown, just one of the epoch arguments is given,
        or the window or its grid is impossible.

    Examples
    --------
    >>> import torch
    >>> make_map(torch.nn.Linear(2, 3), (-3, 15), (-5, 14), axial_gradation=0.5).shape
    (38, 36)
    """
    if map_type not in ("boundary", "region"):
        raise ValueError(f"map_type={map_type!r}: expected 'boundary' or 'region'")
    if (epoch_num is None) != (epoch_freq is None):
        missing = "epoch_freq" if epoch_freq is None else "epoch_num"
        raise ValueError(f"{missing} is missing: give epoch_num and epoch_freq both, or neither")
    if epoch_freq is not None and epoch_freq < 1:
        raise ValueError(f"epoch_freq={epoch_freq}: expected at least 1")
    if epoch_num is not None and epoch_freq is not None and epoch_num % epoch_freq:
        return None
    domain = Domain(xlim, ylim, shape=_map_shape(xlim, ylim, axial_gradation, square_axis_points))
    predict, kind = _predictor(model, output)
    with host_rng_preserved():
        probabilities = evaluate(predict, domain, output=kind, method="dense")
    shown = probabilities.argmax(axis=0) if map_type == "region" else probabilities.max(axis=0)
    return np.asarray(shown, dtype=np.float64)


def plot_maps(
    maps: Sequence[MapArray | None],
    save_filepath: str | os.PathLike[str],
    interpolation_factor: int | None = None,
    interpolation_type: Literal["linear", "geometric"] = "linear",
    colormap: Any = "plasma_r",
    frame_interval: float = 10,
    dpi: float = 100,
    figsize: tuple[float, float] | None = None,
    dark: bool = False,
    **writer_kwargs: Any,
) -> MapsAnimation:
    """Make a film of the maps of :func:`make_map` and write it.

    Parameters
    ----------
    maps : sequence of (2-D array or None)
        All of one shape; None is dropped. Maps of whole numbers from 0 are
        regions: their colours are mixed, never their indices.
    save_filepath : path-like
        Ends in ``.mp4``, ``.webm``, ``.gif``, ``.apng``, ``.webp`` or ``.html``.
    interpolation_factor : int, optional
        n maps become ``(n - 1) * interpolation_factor`` frames, no map twice.
    interpolation_type : {"linear", "geometric"}, default "linear"
        Of the values in boundary maps; regions always cross-fade.
    colormap : str, Colormap or list of colours, default "plasma_r"
        Of the values, or of the classes. Its limits are those of all maps
        together, so that a value keeps its colour through the film.
    frame_interval : float, default 10
        Milliseconds a frame, unless ``fps`` is given.
    dpi : float, default 100
    figsize : tuple of float, optional
        Inches; default (6.4, 4.8).
    dark : bool, default False
        The ground around the map.
    **writer_kwargs
        Those of ``matplotlib.animation.Animation.save``: ``fps``, ``codec``,
        ``bitrate`` (kilobits a second), ``extra_args``, ``metadata``,
        ``progress_callback`` (called with frame and number of frames).
        ``writer`` is accepted; the suffix decides.

    Returns
    -------
    MapsAnimation
        With ``to_html5_video()``.

    Raises
    ------
    ValueError
        If no map is left, their shapes differ, or an argument has no such value.
    TypeError
        If a keyword is unknown.

    Examples
    --------
    >>> import tempfile
    >>> maps = [np.full((30, 40), value) for value in (0.5, 0.75, 1.0)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     film = plot_maps(maps, f"{folder}/film.gif", interpolation_factor=5, figsize=(2, 2))
    >>> len(film)
    10
    """
    path = check_path(save_filepath, FILM_SUFFIXES)
    if not is_positive(frame_interval):
        raise ValueError(f"frame_interval={frame_interval!r}: expected milliseconds, above 0")
    check_size(figsize, dpi)
    fps, callback, options = _writer_options(writer_kwargs, path, 1000 / frame_interval)
    animation = MapsAnimation(
        maps, interpolation_factor, interpolation_type, colormap, fps, dpi, figsize, dark
    )
    write_film(path, animation.film(callback), **options)
    return animation


class MapsAnimation:
    """What :func:`plot_maps` returns: the film of plain 2-D maps.

    Its length is its number of frames; it shows itself in Jupyter.
    """

    def __init__(
        self,
        maps: Sequence[MapArray | None],
        interpolation_factor: int | None,
        interpolation_type: str,
        colormap: Any,
        fps: float,
        dpi: float,
        figsize: tuple[float, float] | None,
        dark: bool,
    ) -> None:
        self._maps = _checked_maps(maps)
        if interpolation_type not in ("linear", "geometric"):
            raise ValueError(
                f"interpolation_type={interpolation_type!r}: expected 'linear' or 'geometric'"
            )
        self._positions = _positions(len(self._maps), interpolation_factor)
        self._geometric = interpolation_type == "geometric"
        self._fps = fps
        self._frame, self._pixels = _frame_around(self._maps[0].shape, dpi, figsize, dark)
        self._paint = _painter(self._maps, colormap)

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Image]:
        return self._frames(range(len(self)))

    def _frames(self, indices: Sequence[int]) -> Iterator[Image]:
        rows, columns = self._pixels
        for position in (self._positions[index] for index in indices):
            frame = self._frame.copy()
            frame[rows[:, None], columns[None]] = self._colors(position)[self._from_grid()]
            yield frame

    def film(self, callback: Callable[[int, int], Any] | None = None) -> FrameSource:
        """Return what a writer needs; ``callback(frame, frames)`` is called once a frame."""
        height, width = self._frame.shape[:2]
        film = FrameSource(self._frames, len(self), (height, width), self._fps)
        return film if callback is None else replace(film, told=callback)

    def to_html5_video(self, embed_limit: float | None = None) -> str:
        """Return the film as an HTML ``<video>`` element that holds its data.

        Parameters
        ----------
        embed_limit : float, optional
            Accepted for matplotlib's sake; the film is always embedded whole.

        Returns
        -------
        str
        """
        from trainviz.rendering.writers.html import video_element

        return video_element(self.film())

    def _repr_html_(self) -> str:
        return self.to_html5_video()

    def _from_grid(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        height, width = self._maps[0].shape
        rows, columns = self._pixels
        down = height - 1 - (np.arange(len(rows)) * height // len(rows))
        across = np.arange(len(columns)) * width // len(columns)
        return down[:, None], across[None]

    def _colors(self, position: float) -> Image:
        left = int(position)
        weight = position - left
        if weight == 0:
            return self._paint(self._maps[left], None, 0.0, self._geometric)
        return self._paint(self._maps[left], self._maps[left + 1], weight, self._geometric)


PaintMap = Callable[[MapArray, "MapArray | None", float, bool], Image]


def _painter(maps: list[MapArray], colormap: Any) -> PaintMap:
    """Choose how values become colours: mix values and look up, or look up classes and mix."""
    low = min(float(array.min()) for array in maps)
    high = max(float(array.max()) for array in maps)
    whole = all((array == np.round(array)).all() for array in maps)
    # No highest class probability is 0: whole numbers from 0 to 1 are two classes.
    if whole and low >= 0 and (low == 0 or high > 1):
        table = class_colors(int(high) + 1, colormap).astype(np.float32)

        def regions(a: MapArray, b: MapArray | None, weight: float, _: bool) -> Image:
            colors = table[a.astype(np.intp)]
            if b is not None:
                colors = colors + (table[b.astype(np.intp)] - colors) * np.float32(weight)
            return np.round(colors).astype(np.uint8)

        return regions
    words = packed(sequential_table(colormap))
    span = high - low or 1.0

    def boundaries(a: MapArray, b: MapArray | None, weight: float, geometric: bool) -> Image:
        values = a if b is None else _mixed(a, b, weight, geometric)
        level = np.clip(np.rint((values - low) * (255 / span)), 0, 255)
        return unpacked(words.take(level.astype(np.uint8)))

    return boundaries


def _mixed(a: MapArray, b: MapArray, weight: float, geometric: bool) -> MapArray:
    if geometric:
        mixed = np.log(np.maximum(a, TINY)) * (1 - weight) + np.log(np.maximum(b, TINY)) * weight
        return np.asarray(np.exp(mixed))
    return a + (b - a) * weight


def _positions(n_maps: int, factor: int | None) -> npt.NDArray[np.float64]:
    """Return the frames' places between the maps: ``(n - 1) * factor`` of them, none twice."""
    if factor is not None and (
        isinstance(factor, bool) or not hasattr(factor, "__index__") or factor < 1
    ):
        raise ValueError(f"interpolation_factor={factor!r}: expected a whole number, at least 1")
    if factor is None or n_maps == 1:
        return np.arange(n_maps, dtype=np.float64)
    first = np.linspace(0, 1, factor)
    rest = np.arange(1, n_maps - 1)[:, None] + np.arange(1, factor + 1) / factor
    return np.concatenate([first, rest.ravel()])


def _checked_maps(maps: Sequence[MapArray | None]) -> list[MapArray]:
    kept = [np.asarray(array, dtype=np.float64) for array in maps if array is not None]
    if not kept:
        raise RecordingError(
            f"maps holds no map ({len(maps)} entries, all None): check epoch_num and epoch_freq"
            if len(maps)
            else "maps is empty: append what make_map returns in the training loop"
        )
    for index, array in enumerate(kept):
        if array.ndim != 2 or array.shape != kept[0].shape:
            raise ValueError(
                f"map {index} has the shape {array.shape}, the first one {kept[0].shape}: "
                "all maps of a film are two-dimensional and of one shape"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"map {index} holds NaN or infinities")
    return kept


def _map_shape(
    xlim: tuple[float, float], ylim: tuple[float, float], step: float, square: int | None
) -> tuple[int, int]:
    if square is not None:
        return square, square
    if not is_positive(step):
        raise ValueError(f"axial_gradation={step!r}: expected a positive distance")
    # The limits are checked by Domain; here they only must not fail first.
    return tuple(  # type: ignore[return-value]
        max(2, int((float(high) - float(low)) / step)) if np.isfinite([low, high]).all() else 2
        for low, high in (ylim, xlim)
    )


def _predictor(model: Any, output: Output) -> tuple[Callable[[Any], Any], Output]:
    if hasattr(model, "predict_proba"):
        return model.predict_proba, "probabilities"
    from trainviz.adapters.torch.recorder import TorchPredictor

    return TorchPredictor(model, output=output), output


def _writer_options(
    given: dict[str, Any], path: Path, fps: float
) -> tuple[float, Callable[[int, int], Any] | None, dict[str, Any]]:
    """Translate the keywords of matplotlib's ``Animation.save`` into a writer's."""
    kwargs = dict(given)
    if (wanted := kwargs.pop("fps", None)) is not None:
        check_fps(wanted)
        fps = wanted
    callback = kwargs.pop("progress_callback", None)
    for ignored in ("writer", "savefig_kwargs"):
        kwargs.pop(ignored, None)
    if kwargs.pop("extra_anim", None):
        raise ValueError("extra_anim: other animations cannot be drawn into this film")
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".mp4", ".webm"):
        params = [*(kwargs.pop("extra_args", None) or [])]
        for name, value in (kwargs.pop("metadata", None) or {}).items():
            params += ["-metadata", f"{name}={value}"]
        bitrate = kwargs.pop("bitrate", None)
        # matplotlib's -1 leaves the choice to the encoder.
        automatic = bitrate is None or bitrate == -1
        options = {"ffmpeg_params": params, "bitrate": None if automatic else f"{bitrate}k"}
        if (codec := kwargs.pop("codec", None)) is not None:
            options["codec"] = {"h264": "libx264"}.get(codec, codec)
    else:
        for ignored in ("extra_args", "metadata", "bitrate", "codec"):
            kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(
            f"plot_maps() has no argument {', '.join(map(repr, kwargs))}; those of the writer are "
            "fps, codec, bitrate, extra_args, metadata and progress_callback"
        )
    return fps, callback, options


def _frame_around(
    shape: tuple[int, ...], dpi: float, figsize: tuple[float, float] | None, dark: bool
) -> tuple[Image, tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Return the empty frame, and the pixel rows and columns that the map takes."""
    inches = figsize or (6.4, 4.8)
    width, height = (max(2, round(side * dpi / 2) * 2) for side in inches)
    ground = (0, 0, 0) if dark else (255, 255, 255)
    frame = np.full((height, width, 3), ground, dtype=np.uint8)
    scale = 0.94 * min(height / shape[0], width / shape[1])
    tall, wide = (max(1, round(side * scale)) for side in shape)
    top, left = (height - tall) // 2, (width - wide) // 2
    return frame, (top + np.arange(tall), left + np.arange(wide))
