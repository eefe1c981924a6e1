"""What a mode is, and how modes are found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz._common.arrays import Image, Map
from trainviz.modes.palettes import Palette
from trainviz.modes.pixels import packed, unpacked
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment

__all__ = ["MODES", "Beside", "Contour", "Mode", "PaintBetween", "find_mode", "register_mode"]

Values = npt.NDArray[np.floating[Any]]


class PaintBetween(Protocol):
    """A function that interpolates two maps and paints the result; see :meth:`Mode.between`."""

    def __call__(
        self, a: Map, b: Map, likely: npt.NDArray[np.bool_] | None = None
    ) -> Callable[[np.float32], Image]:
        """Return a function of the weight of ``b``."""


class Contour(NamedTuple):
    """A quantity and the levels whose lines are drawn.

    Attributes
    ----------
    values : ndarray, shape (h, w)
    levels : tuple of float
    """

    values: Values
    levels: tuple[float, ...]


class Beside(NamedTuple):
    """The second map of a mode that compares two maps: a moment of a recording."""

    recording: Recording
    moment: Moment


class Mode:
    """How a map is turned into a picture. Subclass it to define a mode of your own.

    A subclass has a ``name``, and either ``values``, which returns one number
    a pixel that a colormap with the range ``limits`` turns into a colour, or
    ``paint``, which returns the picture. :func:`register_mode` makes it known
    by its name.

    Parameters
    ----------
    levels : float or sequence of float, optional
        Values at which contour lines are drawn, in films and stills.

    Attributes
    ----------
    name : str
        What ``mode=`` is called with.
    guide : {"scale", "classes"}
        What explains the colours: a colour bar, or a legend of the classes.
    label : str
        The label of the colour bar.
    limits : tuple of float
        The two ends of the colour bar; they never change within a film.
    cmap : str
        The default colormap.
    outputs : tuple of str
        The kinds of recordings (:attr:`Recording.output`) that it can show.
    n_classes, palette, shade, recording
        Set by :meth:`bound`, before anything is painted: the number of
        classes, the :class:`~trainviz.Palette`, whether colours fade where the
        model is unsure (if the mode supports that), and the recording.

    Raises
    ------
    ValueError
        If a level is not a finite number.

    Examples
    --------
    >>> @register_mode
    ... class Gini(Mode):
    ...     name, label, limits = "my-gini", "Gini impurity", (0.0, 1.0)
    ...     def values(self, probabilities):
    ...         return 1 - (probabilities**2).sum(axis=0)
    >>> mode = find_mode("my-gini").bound(2, Palette.of(2))
    >>> mode.paint(np.full((2, 4, 4), 0.5, dtype=np.float32)).shape
    (4, 4, 3)
    >>> Gini(levels=0.3).levels
    (0.3,)
    >>> del MODES["my-gini"]
    """

    name: ClassVar[str]
    guide: ClassVar[Literal["classes", "scale"]] = "scale"
    outputs: ClassVar[tuple[str, ...]] = ("probabilities",)
    label: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    cmap: str = "plasma_r"
    levels: tuple[float, ...] = ()
    n_classes: int
    palette: Palette
    shade: bool = True
    recording: Recording | None = None
    _table: npt.NDArray[np.uint32]

    def __init__(self, *, levels: float | Sequence[float] = ()) -> None:
        self.levels = _checked_levels(levels)

    def bound(
        self,
        n_classes: int,
        palette: Palette,
        *,
        shade: bool = True,
        recording: Recording | None = None,
    ) -> Self:
        """Return a copy of the mode with the attributes that depend on the recording.

        Raises
        ------
        ValueError
            If the mode's options do not suit the recording.
        """
        mode = copy.copy(self)
        mode.n_classes, mode.palette, mode.shade = n_classes, palette, shade
        mode.recording = recording
        mode.prepare()
        low, high = mode.limits
        for level in mode.levels:
            if not low <= level <= high:
                raise ValueError(
                    f"levels={mode.levels}: {level:g} lies outside of what mode={mode.name!r} "
                    f"shows, {low:g} to {high:g}"
                )
        mode._table = packed(mode.palette.sequential)
        return mode

    def prepare(self) -> None:
        """Set up the mode; called when ``n_classes``, ``palette`` and ``recording`` are set."""

    def colormap(self, recording: Recording) -> str:
        """Return the name of the default colormap for a recording."""
        return self.cmap

    def distinct(self, n_classes: int) -> int:
        """Return how many classes need a colour of their own."""
        return n_classes

    @property
    def colors(self) -> Image | None:
        """The colours of the mode's pictures, uint8, shape (n, 3), most frequent first, or None.

        The palette of a GIF is computed from them; with None, from the pixels
        of a few frames.
        """
        return None if type(self).paint is not Mode.paint else self.palette.sequential

    def values(self, probabilities: Map) -> Values:
        """Return the quantity that is shown.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (C, h, w)
            One value a pixel, row 0 at the top of the picture. Must not be
            modified in place.

        Returns
        -------
        ndarray, shape (h, w)
        """
        raise NotImplementedError(f"mode {self.name!r} has no values")

    def paint(self, probabilities: Map) -> Image:
        """Paint a map.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (C, h, w)
            As for :meth:`values`.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3)
        """
        return self.scale(self.values(probabilities))

    def between(self) -> PaintBetween | None:
        """Return a function that interpolates two maps and paints the result, or None.

        It takes the two maps, shape (C, h, w), and returns a function of the weight of the
        second, so that what several frames have in common is found out once. Its third
        argument, ``likely``, bool of shape (ceil(h / 8), ceil(w / 32), C), is False for classes
        that are nowhere the likeliest in a part of 8x32 pixels or within two pixels of it,
        whose values there may be wrong; default: all may be. None if the mode has no such
        function, or also draws contour lines.
        """
        return None

    def contours(self, probabilities: Map) -> Iterable[Contour]:
        """Return the quantities whose contour lines are drawn over the picture."""
        return [Contour(self.values(probabilities), self.levels)] if self.levels else []

    def beside(self, moment: Moment) -> Beside | None:
        """Return the map that a comparing mode compares with that of a moment, or None.

        ``values``, ``paint`` and ``contours`` of such a mode get that map as
        their second argument.
        """
        return None

    def legend(self, recording: Recording) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Return the name and the colour, shape (3,), of each class in the legend."""
        if not recording.output.has_classes:
            return []
        return list(zip(recording.class_names, self.palette.classes, strict=True))

    def certain(self, color: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the colour that pixels of a class have where its probability is 1."""
        return color

    def point_colors(self, recording: Recording) -> Image:
        """Return the colour of each point of the recording's data, shape (n, 3)."""
        assert recording.data is not None
        labels = recording.data_labels
        if labels is None:
            return np.full((len(recording.data.points), 3), 128, dtype=np.uint8)
        colors: Image = self.palette.classes[labels]
        return colors

    def scale(self, values: Values) -> Image:
        """Map values to colours with the colormap, from one of the mode's limits to the other."""
        low, high = self.limits
        level = np.subtract(values, np.float32(low), dtype=np.float32)
        level *= np.float32(255 / (high - low))
        np.clip(np.rint(level, out=level), 0, 255, out=level)
        return unpacked(self._table.take(level.astype(np.uint8)))


MODES: dict[str, type[Mode]] = {}
"""The registered modes, by name."""


def register_mode(mode: type[Mode]) -> type[Mode]:
    """Make a :class:`Mode` known by its name; usable as a class decorator.

    Parameters
    ----------
    mode : type
        A subclass of :class:`Mode` with a ``name`` and ``values`` or ``paint``.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    TypeError
        If it is not a subclass of :class:`Mode`, or has no name, or neither
        ``values`` nor ``paint``.

    Examples
    --------
    >>> @register_mode
    ... class Certainty(Mode):
    ...     name, label = "my-certainty", "highest probability"
    ...     def values(self, probabilities):
    ...         return probabilities.max(axis=0)
    >>> find_mode("my-certainty").label
    'highest probability'
    >>> del MODES["my-certainty"]
    """
    if not (isinstance(mode, type) and issubclass(mode, Mode)) or not hasattr(mode, "name"):
        raise TypeError(f"register_mode({mode!r}): expected a subclass of Mode with a name")
    if mode.values is Mode.values and mode.paint is Mode.paint:
        raise TypeError(
            f"register_mode({mode.__name__}): it paints nothing; give it a method "
            "values(self, probabilities), (C, h, w) to (h, w), or paint, (C, h, w) to (h, w, 3)"
        )
    MODES[mode.name] = mode
    return mode


def find_mode(mode: str | type[Mode] | Mode) -> Mode:
    """Return the mode with this name, or an instance of a mode class; an instance as it is.

    Raises
    ------
    ValueError
        If no mode has this name.
    """
    if isinstance(mode, Mode):
        return mode
    if isinstance(mode, type) and issubclass(mode, Mode):
        return mode()
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(
            f"mode={mode!r}: expected one of {', '.join(map(repr, sorted(MODES)))}, or a mode "
            'such as trainviz.modes.Probability("cat")'
        )
    return MODES[mode]()


def _checked_levels(levels: Any) -> tuple[float, ...]:
    listed = (levels,) if isinstance(levels, Real) else levels
    try:
        numbers = tuple(float(level) for level in listed)
    except (TypeError, ValueError):
        numbers = (np.nan,)
    if isinstance(levels, str) or not np.isfinite(numbers).all():
        raise ValueError(f"levels={levels!r}: expected a number or several, e.g. (0.5, 0.9)")
    return tuple(sorted(set(numbers)))
