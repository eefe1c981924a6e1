"""Colours: one a class, and the sequential table for a single quantity."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.checks import check_switch, check_whole

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

_MANY = (
    *_QUALITATIVE,
    "#C09090", "#004848", "#90C0CC", "#A84860", "#0054B4", "#9C6C90", "#C0CC60", "#304830",
    "#CCA890", "#D8E4C0", "#E4D8F0", "#9C5400", "#FCCCD8", "#546C60", "#305460", "#9078B4",
    "#E484D8", "#9C8490", "#54C0A8", "#606CD8", "#D86C48", "#A8489C", "#60603C", "#C09018",
    "#789CFC", "#548478", "#9CF084", "#848460", "#245400", "#787830", "#780C6C", "#606C30",
    "#FC84C0", "#60A890", "#0C6048", "#84840C", "#48CC9C", "#843C6C", "#FC9C78", "#D8C0E4",
    "#CCA848", "#54CC78", "#9C5478", "#9CF0A8", "#3C4824", "#9CC0FC", "#B46CCC", "#3C8490",
    "#486C9C", "#549C9C", "#CC8460", "#6C4890", "#A8CCC0", "#489C54", "#78B4B4", "#A8606C",
    "#18483C", "#0C4854", "#486C54", "#D8D8FC", "#54A878", "#305454", "#C07884", "#F06CC0",
    "#3C60C0", "#90003C", "#784824", "#C0B4E4", "#A8D8A8", "#24B4CC", "#003C9C", "#C06084",
    "#606C84", "#E47884", "#004878", "#CC3C54", "#24FCC0", "#B47830", "#F0D860", "#B49C48",
    "#C060A8", "#78A89C", "#6CD8B4", "#847860", "#0C90FC", "#6C6C18", "#FC78A8", "#6C5454",
    "#78606C", "#54786C", "#24909C", "#D86054", "#F09CC0", "#24543C", "#F07878", "#78546C",
    "#78540C", "#FCC0D8", "#4884A8", "#545478", "#F0B448", "#60D8CC", "#3C8484", "#B43C3C",
    "#30A8D8", "#3C6C78", "#FCB484", "#18A8A8", "#6C3C9C", "#6078E4", "#B4A8FC", "#6C3048",
    "#B41848", "#9C0060", "#6CB4A8", "#846C54", "#A8846C", "#B48424", "#185418", "#487860",
    "#E4843C", "#CCB460", "#3C6C48", "#906CC0", "#9C789C", "#C0E4E4", "#FC9C9C", "#840C00",
    "#8460C0", "#48546C", "#606C90", "#C084B4", "#FCD8A8", "#3C4860", "#608454", "#7890E4",
    "#C0E4CC", "#785430", "#3C9078", "#00A884", "#A8C0B4", "#A86C48", "#185430", "#78A830",
    "#A8D8C0", "#60C090", "#6C9090", "#90B4C0", "#8490C0", "#D8909C", "#C0B49C", "#A85424",
    "#009C84", "#900C18", "#843C3C", "#E4549C", "#A85460", "#9C54A8", "#6CD8E4", "#6CA8C0",
    "#FC9CD8", "#907824", "#6054A8", "#84E4D8", "#FCCC78", "#783030", "#3C3C6C", "#304800",
    "#6C84CC", "#B4486C", "#78CCA8", "#3CCCC0", "#54843C", "#900C24", "#C09CCC", "#9084B4",
    "#B4B46C", "#6C5490", "#B41854", "#84A884", "#A86000", "#C0C090", "#84A86C", "#B4E490",
    "#789CCC", "#E490F0", "#60D8F0", "#543C3C", "#00F0F0", "#C06C78", "#9CC0D8", "#783C84",
    "#C0D8E4", "#840C48", "#B43084", "#48783C", "#E4C0CC", "#0090D8", "#A86C78", "#CC849C",
    "#E4A884", "#FC8460", "#5478B4", "#189084", "#9C78D8", "#843C78", "#604860", "#C0543C",
    "#C0CC9C", "#F0D8E4", "#9CE4B4", "#C0A830", "#6C2478", "#0CCCCC", "#24C078", "#48F0FC",
    "#904848", "#B46C6C", "#543C48", "#6060CC", "#18A854", "#D87854", "#C0D86C", "#D8B454",
    "#D89CB4", "#6C5418", "#849CA8", "#304818", "#84900C", "#543C90", "#C06030", "#D8906C",
)  # fmt: skip
"""Found one by one, each the farthest from those before it, among colours of L* 27 to 89 and chroma
10 to 64 (``docs/make_palette.py``). So many cannot all be told apart, but neither is one brighter
or more colourful than the others, and all of them stay what they are when a class is added:

====  ======  ============  ==========
n     normal  deuteranopia  protanopia
====  ======  ============  ==========
30    10.6    7.5           7.6
50    7.9     5.5           5.4
100   5.3     3.8           3.7
256   3.1     2.1           2.2
====  ======  ============  ==========

Of colorcet's Glasbey colours, 100 are 6.8, 0.1 and 0.6 apart: brighter, and for most eyes alone.
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
        check_whole("n_classes", n_classes, 1, 2**31 - 1)
        check_switch("dark", dark)
        check_switch("repeat", repeat)
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
        Default: the first of 256 colours of like lightness and moderate
        chroma, of which 24 are safe for the colour-blind. A name of a
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
    if colors is None:
        return _rgb(_MANY[:n_classes])
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

    if isinstance(colors, tuple):
        # Matplotlib 3.8 takes any pair for a colour and its alpha.
        colors = list(colors)
    try:
        rgba = to_rgba_array(colors)
    except (ValueError, TypeError) as error:
        raise ValueError(f"palette holds something that is no matplotlib colour: {error}") from None
    if not ((rgba >= 0) & (rgba <= 1)).all():
        raise ValueError("palette holds something that is no matplotlib colour: numbers are 0 to 1")
    return np.asarray(np.round(rgba[:, :3] * 255), dtype=np.uint8)
