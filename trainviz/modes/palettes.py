"""Colours: one a class, and the sequential table for a single quantity."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Palette", "class_colors", "ramp", "sequential_table"]

_QUALITATIVE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#882255",
    "#006024", "#54E4CC", "#307878", "#A8D890", "#7884E4", "#846C48", "#B4A860", "#FCA8B4",
    "#6C903C", "#D86C6C", "#24A8B4", "#C0CCFC", "#6C3084", "#546084", "#90240C", "#784848",
)  # fmt: skip
"""The first eight are the palette of Okabe and Ito, Color Universal Design (2008), with wine
instead of black, which neither theme can lighten, as grey stands for the classes that
``Region(top_k=)`` does not name; blue and orange first, for binary models.

The others were searched for among colours of their lightness (CIELAB L* 31 to 83) whose chroma is
at most 60: each of the first n is at least this far (CIEDE2000) from the others, also for people
with deuteranopia and protanopia, as Machado et al. (2009) simulate them:

====  ======  ============  ==========
n     normal  deuteranopia  protanopia
====  ======  ============  ==========
8     21.7    11.6          12.2
10    20.5    11.6          12.0
16    16.2     9.4           8.5
24    14.6     7.7           7.9
====  ======  ============  ==========

Of colorcet's Glasbey colours the first 24 are 14.0, 0.5 and 1.1 apart.
"""

_ARGUMENTS = "palette=, cmap= or colormap"
"""The argument's names in error messages: ``animate`` has the first two, ``plot_maps`` the last."""

MAX_CLASSES = 256
Colors = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Palette:
    """The colours of a film.

    Attributes
    ----------
    classes : ndarray of uint8, shape (C, 3)
        One colour a class.
    sequential : ndarray of uint8, shape (256, 3)
        The colormap, from the lowest to the highest value.
    background : ndarray of uint8, shape (3,)
        The colour that class colours are blended with where the model is unsure.
    chosen : bool, default False
        Whether the user chose ``sequential``, rather than the mode.

    Examples
    --------
    >>> Palette.of(3).classes.shape
    (3, 3)
    """

    classes: Colors
    sequential: Colors
    background: Colors
    chosen: bool = False

    @classmethod
    def of(
        cls,
        n_classes: int,
        *,
        classes: Any = None,
        cmap: Any = None,
        dark: bool = False,
        repeat: bool = False,
    ) -> Palette:
        """Choose the colours.

        Parameters
        ----------
        n_classes : int
        classes : str, Colormap or sequence of colours, optional
            See :func:`class_colors`.
        cmap : str or Colormap, optional
            See :func:`sequential_table`.
        dark : bool, default False
        repeat : bool, default False
            Reuse colours if there are more than 256 classes; for modes that show no classes.

        Returns
        -------
        Palette

        Raises
        ------
        ValueError
            If a name is unknown, a colour is invalid, or there are too few colours.
        """
        distinct = min(n_classes, MAX_CLASSES) if repeat else n_classes
        colors = class_colors(distinct, classes)
        return cls(
            np.resize(colors, (n_classes, 3)),
            sequential_table(cmap),
            np.array((16, 18, 22) if dark else (255, 255, 255), dtype=np.uint8),
        )


def class_colors(n_classes: int, colors: Any = None) -> Colors:
    """Return one colour a class.

    Parameters
    ----------
    n_classes : int
        At most 256.
    colors : str, Colormap or sequence of colours, optional
        Default: a colour-blind safe set for up to 24 classes, of which fewer
        classes have the first; colorcet's Glasbey colours beyond. A name of a
        matplotlib or colorcet colormap (a continuous one is sampled evenly), a
        Colormap, or a list of at least ``n_classes`` matplotlib colours.

    Returns
    -------
    ndarray of uint8, shape (n_classes, 3)

    Raises
    ------
    ValueError
        As :meth:`Palette.of`.

    Examples
    --------
    >>> class_colors(2, ["red", "#0000ff"])
    array([[255,   0,   0],
           [  0,   0, 255]], dtype=uint8)
    """
    if n_classes > MAX_CLASSES:
        raise ValueError(
            f"{n_classes} classes: at most {MAX_CLASSES} can be told apart by colour; "
            "mode=trainviz.modes.Region(top_k=12) colours the 12 most common ones and groups the "
            "rest; mode='boundary', 'entropy' or 'margin' show any number of classes"
        )
    if colors is None and n_classes <= len(_QUALITATIVE):
        return _rgb(_QUALITATIVE[:n_classes])
    if colors is None:
        import colorcet

        return _rgb(colorcet.glasbey[:n_classes])
    if (isinstance(colors, Sequence) and not isinstance(colors, str)) or isinstance(
        colors, np.ndarray
    ):
        if len(colors) < n_classes:
            raise ValueError(
                f"palette has {len(colors)} colours for {n_classes} classes: give at least one each"
            )
        return _rgb(list(colors[:n_classes]))
    cmap = _colormap(colors)
    listed = getattr(cmap, "colors", None)
    if listed is not None and n_classes <= len(listed) <= 64:
        return _rgb(list(listed)[:n_classes])
    if listed is not None and len(listed) < n_classes:
        raise ValueError(
            f"palette={cmap.name!r} has {len(listed)} colours for {n_classes} classes: leave "
            "palette= out for one that has 256"
        )
    return _rgb(cmap(np.linspace(0, 1, n_classes)))


def ramp(ground: Colors, color: Colors) -> Colors:
    """Return the 256 colours from one to another.

    Examples
    --------
    >>> ramp(np.uint8([255, 255, 255]), np.uint8([0, 114, 178]))[[0, 255]]
    array([[255, 255, 255],
           [  0, 114, 178]], dtype=uint8)
    """
    share = np.linspace(0, 1, 256)[:, None]
    start = ground.astype(np.float64)
    return np.asarray(np.rint(start + share * (color - start)), dtype=np.uint8)


def sequential_table(cmap: Any = None) -> Colors:
    """Return the 256 colours of a sequential colormap.

    Parameters
    ----------
    cmap : str or Colormap, optional
        Default ``"plasma_r"``: an unsure model is bright, a sure one dark.

    Returns
    -------
    ndarray of uint8, shape (256, 3)

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    return _rgb(_colormap("plasma_r" if cmap is None else cmap)(np.linspace(0, 1, 256)))


def _colormap(cmap: Any) -> Any:
    import matplotlib
    from matplotlib.colors import Colormap

    if isinstance(cmap, Colormap):
        return cmap
    if isinstance(cmap, str):
        if cmap in matplotlib.colormaps:
            return matplotlib.colormaps[cmap]
        import colorcet

        if cmap in colorcet.cm:
            return colorcet.cm[cmap]
        near = difflib.get_close_matches(cmap, [*matplotlib.colormaps, *colorcet.cm], n=3)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else "see matplotlib.colormaps"
        )
        raise ValueError(
            f"{_ARGUMENTS}={cmap!r}: neither matplotlib nor colorcet knows this colormap; {hint}"
        )
    raise ValueError(
        f"{_ARGUMENTS}={cmap!r}: expected the name of a colormap, a matplotlib Colormap or, "
        "where each class has its colour, a list of colours"
    )


def _rgb(colors: Any) -> Colors:
    from matplotlib.colors import to_rgba_array

    try:
        rgba = to_rgba_array(colors)
    except (ValueError, TypeError) as error:
        raise ValueError(f"palette holds something that is no matplotlib colour: {error}") from None
    if not ((rgba >= 0) & (rgba <= 1)).all():
        raise ValueError("palette holds something that is no matplotlib colour: numbers are 0 to 1")
    return np.asarray(np.round(rgba[:, :3] * 255), dtype=np.uint8)
