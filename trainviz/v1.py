"""The interface of version 1.0: two functions over everything else.

A script that says ``maps.append(make_map(...))`` in its loop and
``plot_maps(maps, "film.mp4")`` after it runs unchanged; see the README for
what the recorder does better.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import TINY, Image
from trainviz._common.checks import is_positive
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.domain.checks import check_limits
from trainviz.domain.domain import Domain
from trainviz.errors import RecordingError
from trainviz.evaluation.evaluator import evaluate
from trainviz.evaluation.outputs import Output
from trainviz.modes.palettes import class_colors, sequential_table
from trainviz.recordings.time_axis import Moment
from trainviz.rendering.figure.fitting import even_size
from trainviz.rendering.figure.options import check_fps, check_size
from trainviz.rendering.film import Film
from trainviz.rendering.interpolation import Blender
from trainviz.rendering.writers import FILM_SUFFIXES, check_path, write_film

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
    with host_rng_preserved(again=lambda: predict(domain.points(0, 1))):
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
    fps, callback, options = _writer_options(path.suffix.lower(), **writer_kwargs)
    if fps is None:
        fps = 1000 / frame_interval
    animation = MapsAnimation(
        maps, interpolation_factor, interpolation_type, colormap, fps, dpi, figsize, dark
    )
    film = animation._film(None)
    write_film(path, film if callback is None else replace(film, told=callback), **options)
    return animation


class MapsAnimation(Film):
    """What :func:`plot_maps` returns: the film of plain 2-D maps."""

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
        self.fps = fps
        self._maps = _checked_maps(maps)
        if interpolation_type not in ("linear", "geometric"):
            raise ValueError(
                f"interpolation_type={interpolation_type!r}: expected 'linear' or 'geometric'"
            )
        self._moments = _moments(len(self._maps), interpolation_factor)
        self._ground, self._box, self._from_grid = _frame_around(
            self._maps[0].shape, dpi, figsize, dark
        )
        low = self._low = min(float(array.min()) for array in self._maps)
        high = max(float(array.max()) for array in self._maps)
        self._span = high - low or 1.0
        whole = all((array == np.round(array)).all() for array in self._maps)
        # No highest class probability is 0: whole numbers from 0 to 1 are two classes.
        self._regions = whole and low >= 0 and (low == 0 or high > 1)
        self._geometric = interpolation_type == "geometric" and not self._regions
        self._table = (
            class_colors(int(high) + 1, colormap) if self._regions else sequential_table(colormap)
        )

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of a frame in pixels."""
        return self._ground.shape[0], self._ground.shape[1]

    def to_html5_video(self, embed_limit: float | None = None) -> str:
        """Embed the film whole; ``embed_limit`` is accepted for matplotlib's sake."""
        return super().to_html5_video()

    def _painter(self, *, reader: Executor | None = None) -> Callable[[int], Image]:
        mix = self._geometric_mean if self._geometric else Blender(self._read, len(self._maps))

        def make(index: int) -> Image:
            frame = self._ground.copy()
            frame[self._box] = self._paint(mix(self._moments[index]))[self._from_grid]
            return frame

        return make

    def _read(self, index: int) -> npt.NDArray[Any]:
        """Return what is mixed of a map: its values, or the colours of its classes."""
        array = self._maps[index]
        return self._table[array.astype(np.intp)].astype(np.float32) if self._regions else array

    def _geometric_mean(self, moment: Moment) -> MapArray:
        # Blender's divides by the sum over the classes, and these maps have one value a point.
        a, weight = self._maps[moment.left], moment.weight
        if weight == 0:
            return a
        b = self._maps[moment.left + 1]
        logs = np.log(np.maximum(a, TINY)) * (1 - weight) + np.log(np.maximum(b, TINY)) * weight
        return np.asarray(np.exp(logs))

    def _paint(self, mixture: npt.NDArray[Any]) -> Image:
        if self._regions:
            return np.round(mixture).astype(np.uint8)
        # In single precision, as in Mode.scale, a few pixels would have the neighbouring colour.
        level = np.clip(np.rint((mixture - self._low) * (255 / self._span)), 0, 255)
        return self._table[level.astype(np.uint8)]


def _moments(n_maps: int, factor: int | None) -> list[Moment]:
    """Return what each frame shows: ``(n - 1) * factor`` of them, where Timeline has one more."""
    if factor is not None and (
        isinstance(factor, bool) or not hasattr(factor, "__index__") or factor < 1
    ):
        raise ValueError(f"interpolation_factor={factor!r}: expected a whole number, at least 1")
    positions = np.arange(n_maps, dtype=np.float64)
    if factor is not None and n_maps > 1:
        rest = np.arange(1, n_maps - 1)[:, None] + np.arange(1, factor + 1) / factor
        positions = np.concatenate([np.linspace(0, 1, factor), rest.ravel()])
    return [Moment(int(position), position % 1) for position in positions.tolist()]


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
    (x0, x1), (y0, y1) = check_limits("xlim", xlim), check_limits("ylim", ylim)
    return max(2, int((y1 - y0) / step)), max(2, int((x1 - x0) / step))


def _predictor(model: Any, output: Output) -> tuple[Callable[[Any], Any], Output]:
    if hasattr(model, "predict_proba"):
        return model.predict_proba, "probabilities"
    from trainviz.adapters.torch.predictor import TorchPredictor

    return TorchPredictor(model, output=output), output


def _writer_options(
    suffix: str,
    /,
    *,
    fps: float | None = None,
    progress_callback: Callable[[int, int], Any] | None = None,
    codec: str | None = None,
    bitrate: float | None = None,
    extra_args: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    extra_anim: Any = None,
    **others: Any,
) -> tuple[float | None, Callable[[int, int], Any] | None, dict[str, Any]]:
    """Translate the keywords of matplotlib's ``Animation.save`` into a writer's."""
    if fps is not None:
        check_fps(fps)
    if extra_anim:
        raise ValueError("extra_anim: other animations cannot be drawn into this film")
    options: dict[str, Any] = {}
    if suffix in (".mp4", ".webm"):
        params = [*(extra_args or [])]
        for name, value in (metadata or {}).items():
            params += ["-metadata", f"{name}={value}"]
        # matplotlib's -1 leaves the choice to the encoder.
        automatic = bitrate is None or bitrate == -1
        options = {"ffmpeg_params": params, "bitrate": None if automatic else f"{bitrate}k"}
        if codec is not None:
            options["codec"] = {"h264": "libx264"}.get(codec, codec)
    if unknown := [name for name in others if name not in ("writer", "savefig_kwargs")]:
        raise TypeError(
            f"plot_maps() has no argument {', '.join(map(repr, unknown))}; those of the writer are "
            "fps, codec, bitrate, extra_args, metadata and progress_callback"
        )
    return fps, progress_callback, options


def _frame_around(
    shape: tuple[int, ...], dpi: float, figsize: tuple[float, float] | None, dark: bool
) -> tuple[Image, tuple[slice, slice], tuple[npt.NDArray[np.intp], ...]]:
    """Return the empty frame, where in it the map is, and the grid point of each of its pixels."""
    # Compositor draws axes, and Resampler interpolates between grid points: these films do neither.
    width, height = (round(side * dpi) for side in even_size(figsize or (6.4, 4.8), dpi))
    frame = np.full((height, width, 3), 0 if dark else 255, dtype=np.uint8)
    scale = 0.94 * min(height / shape[0], width / shape[1])
    tall, wide = (max(1, round(side * scale)) for side in shape)
    top, left = (height - tall) // 2, (width - wide) // 2
    down = shape[0] - 1 - np.arange(tall) * shape[0] // tall
    across = np.arange(wide) * shape[1] // wide
    return frame, np.s_[top : top + tall, left : left + wide], np.ix_(down, across)
