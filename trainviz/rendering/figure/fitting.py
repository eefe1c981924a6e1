"""Make texts fit into a figure, and the figure fit around its maps."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from trainviz.domain.domain import Domain
from trainviz.rendering.figure.texts import display_width, is_math, without_glyph_warnings

__all__ = [
    "PAD",
    "arrange",
    "even_size",
    "fit_height",
    "fit_name",
    "fit_names",
    "fit_text",
    "fit_texts",
    "free_inches",
    "heading_room",
    "height_by_width",
    "pixel_box",
    "require_room",
    "resize",
    "room_beside",
    "shrink",
    "sized_texts",
    "text_width",
    "thin_ticks",
    "trim_height",
]

PAD = 0.1
"""Inches between the parts of a figure, unless its margin is narrower."""

_LEAST_INCHES = 0.5
"""A map whose longer side is shorter shows nothing."""

_NAME_WIDTH = 24
"""Characters of a class name on a line; a wider legend takes the room of the map."""

_LEAST_SIZE = 6.0
"""Points of the smallest text; what is still too long is shortened."""

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def text_width(text: Any) -> float:
    """Return how many pixels the longest line of a text takes; 0 if it is empty."""
    box = text.get_window_extent()
    return float(box.height if text.get_rotation() == 90 else box.width)


def shrink(text: Any, room: float) -> None:
    """Make a text smaller until its lines fit, in pixels, or shorten them with an ellipsis."""
    size, width = text.get_fontsize(), text_width(text)
    if width <= room:
        return
    text.set_fontsize(max(min(size, _LEAST_SIZE), size * room / width))
    # Sizes are rounded to pixels.
    if text_width(text) > room + 1:
        _shorten(text, room)


def _shorten(text: Any, room: float) -> None:
    if text.get_parse_math():
        return
    lines, whole = text.get_text().split("\n"), text.get_text()
    for number, line in enumerate(lines):
        kept = len(line)
        text.set_text(line)
        while kept > 1 and text_width(text) > room:
            kept = min(kept - 1, int(kept * room / text_width(text)))
            text.set_text(line[:kept].rstrip() + _ELLIPSIS)
        lines[number] = text.get_text()
    text.set_text("\n".join(lines) if whole else whole)


def fit_text(text: Any, room: float) -> None:
    """Wrap a text into at most three lines, shrink and shorten it until they fit, in pixels."""
    words, width = text.get_text(), text_width(text)
    if not words or width <= room:
        return
    if not text.get_parse_math():
        text.set_text(textwrap.fill(words, max(8, int(len(words) * room / width))))
    many = max(1.0, (text.get_text().count("\n") + 1) / 3)
    if many > 1:
        # So small that three lines may hold it, or as much of it as they can.
        small = max(min(text.get_fontsize(), _LEAST_SIZE), text.get_fontsize() / many)
        text.set_fontsize(small)
        text.set_text(words)
        across = max(8, int(len(words) * room / text_width(text)))
        text.set_text(textwrap.fill(words, across, max_lines=3, placeholder=" " + _ELLIPSIS))
    shrink(text, room)


def fit_names(names: Sequence[str], rows: int) -> list[str]:
    """Wrap names into two lines at most, and return as many as fit into rows.

    Where some are left out, a last row stays free that counts them.
    """
    wrapped = [fit_name(name, _NAME_WIDTH) for name in names]
    taken = list(accumulate(name.count("\n") + 1 for name in wrapped))
    if not taken or taken[-1] <= rows:
        return wrapped
    return wrapped[: sum(used < rows for used in taken)]


def fit_name(name: str, width: int, lines: int = 2) -> str:
    r"""Wrap a name of any script into lines of some columns, shortened with an ellipsis.

    Examples
    --------
    >>> fit_name("Chloris chloris, the European greenfinch", 16)
    'Chloris chloris,\nthe European …'
    >>> fit_name("antidisestablishmentarianism", 12, 1)
    'antidisesta…'
    """
    if is_math(name):
        return name
    # Wide characters, such as Chinese ones, take two columns.
    across = max(4, width * len(name) // max(display_width(name), 1))
    parts = textwrap.wrap(name, across)
    if len(parts) <= lines:
        return "\n".join(parts)
    words = " ".join(parts[lines - 1 :]) if " " in name else "".join(parts[lines - 1 :])
    last = textwrap.shorten(words, across, placeholder=" " + _ELLIPSIS)
    if last.strip() == _ELLIPSIS:
        last = words[: across - 1] + _ELLIPSIS
    return "\n".join([*parts[: lines - 1], last])


def thin_ticks(bar: Any) -> None:
    """Leave only the ends where a colour bar is too short for all its numbers."""
    labels = bar.get_yticklabels()
    tall = bar.get_window_extent().height / bar.figure.dpi * 72
    if not labels:
        return
    if len(labels) * 1.3 * labels[0].get_fontsize() > tall:
        ends = [labels[0].get_text(), labels[-1].get_text()]
        bar.set_yticks([bar.get_yticks()[0], bar.get_yticks()[-1]], ends)


def heading_room(figure: Any, left: float, margin: float = 0.0) -> float:
    """Return how many pixels a heading may take from ``left`` to the legend or the margin."""
    right = figure.bbox.width - max(8.0, margin * figure.dpi)
    for legend in figure.legends:
        box = legend.get_window_extent()
        # One below the map takes no room from a heading.
        if box.y1 > 0.75 * figure.bbox.height:
            right = min(right, box.x0 - 12)
    return float(right - left)


def room_beside(text: Any, axes: Sequence[Any]) -> float:
    """Return how many pixels are left above axes beside a text at their right end."""
    places = [ax.get_window_extent() for ax in axes]
    span = max(place.x1 for place in places) - min(place.x0 for place in places)
    return float(span - text_width(text) - 16)


def arrange(figure: Any) -> bool:
    """Let the layout engine place everything, and tell whether there was room."""
    with without_glyph_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            figure.get_layout_engine().execute(figure)
            for ax in figure.axes:
                locator = ax.get_axes_locator()
                ax.apply_aspect(locator(ax, None) if locator else None)
        except UserWarning:
            return False
    return True


def require_room(figure: Any, axes: Sequence[Any], arranged: bool | None = None) -> None:
    """Raise a :class:`ValueError` if arranging a figure leaves no room for its maps.

    It is arranged here, unless ``arranged`` is what :func:`arrange` has returned.
    """
    if arranged is None:
        arranged = arrange(figure)
    longest = max(max(ax.get_window_extent().size) for ax in axes) / figure.dpi
    if not arranged or longest < _LEAST_INCHES:
        size = tuple(round(float(side), 2) for side in figure.get_size_inches())
        raise ValueError(
            f"figsize={size}: no room is left for the map; make the figure larger or leave "
            "something out, e.g. metrics=False, legend=False or axes=False"
        )


def height_by_width(domain: Domain, aspect: str | None = None) -> float:
    """Return the height of a map of width 1, from a half to 2; 0.8 where any height will do.

    Examples
    --------
    >>> height_by_width(Domain((0, 4), (0, 3), points_per_axis=5))
    0.75
    """
    if aspect == "auto" or domain.ratio is None:
        return 0.8
    return min(max(1 / domain.ratio, 0.5), 2.0)


def fit_texts(figure: Any, axes: Sequence[Any], room: float) -> None:
    """Fit titles and labels to arranged axes, and the heading to its room in pixels."""
    for ax in axes:
        box = ax.get_window_extent()
        fit_text(ax.title, box.width)
        fit_text(ax.xaxis.label, box.width)
        fit_text(ax.yaxis.label, box.height)
    if figure._suptitle is not None:
        fit_text(figure._suptitle, room)


def sized_texts(figure: Any) -> list[tuple[str, float]]:
    """Return the texts that are fitted, with their sizes; only if they change, arrange again."""
    texts = [
        text for ax in figure.axes
        for text in (ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label)
    ]  # fmt: skip
    texts += [] if figure._suptitle is None else [figure._suptitle]
    return [(text.get_text(), text.get_fontsize()) for text in texts]


def free_inches(ax: Any) -> tuple[float, float]:
    """Return the inches that axes of fixed aspect and their labels leave free in their slot."""
    figure = ax.figure
    slot = ax.get_position(original=True).transformed(figure.transFigure)
    used = ax.get_tightbbox(for_layout_only=True)
    taken = slot.union([slot, used])
    return (taken.width - used.width) / figure.dpi, (taken.height - used.height) / figure.dpi


def trim_height(figure: Any, axes: Sequence[Any], rows: int) -> None:
    """Take away the height that arranged panels of fixed aspect leave free."""
    width, height = figure.get_size_inches()
    resize(figure, width, height - free_inches(axes[0])[1] * rows)


def fit_height(figure: Any, axes: Sequence[Any], rows: int, room: float | None = None) -> None:
    """Find the height in which maps of fixed aspect are as wide as their slots.

    Texts are fitted first, a heading to ``room`` pixels, as lines added later would
    make the maps smaller.
    """
    arrange(figure)
    fit_texts(figure, axes, figure.bbox.width if room is None else room)
    for _ in range(4):
        arrange(figure)
        width, height = figure.get_size_inches()
        slots = [ax.get_position(original=True) for ax in axes]
        maps = [ax.get_position() for ax in axes]
        down = height * min(s.height - m.height for s, m in zip(slots, maps, strict=True))
        across = width * min(s.width - m.width for s, m in zip(slots, maps, strict=True))
        if max(down, across) < 0.01:
            return
        ratio = height * maps[0].height / (width * maps[0].width)
        more = -down if down > 0.01 else across * ratio
        resize(figure, width, height + more * rows, 0.0)


def resize(figure: Any, width: float, height: float, margin: float = PAD) -> None:
    """Give a figure a size in inches, but not a height that its legend does not fit into.

    A side that is changed has an even number of pixels.
    """
    legends = [legend.get_window_extent().height for legend in figure.legends]
    least = max(legends, default=0.0) / figure.dpi + 2 * margin
    old, new = figure.get_size_inches(), (width, max(height, least))
    sides = zip(old, new, even_size(new, figure.dpi), strict=True)
    figure.set_size_inches([was if was == side else even for was, side, even in sides])


def pixel_box(ax: Any) -> tuple[int, int, int, int]:
    """Return where axes are: ``(left, top, width, height)`` in whole pixels from the top left."""
    box, height = ax.get_window_extent(), round(ax.figure.bbox.height)
    x0, y0, x1, y1 = (round(side) for side in (box.x0, box.y0, box.x1, box.y1))
    return x0, height - y1, x1 - x0, y1 - y0


def even_size(inches: Sequence[float], dpi: float) -> tuple[float, float]:
    """Round to even numbers of pixels: video encoders sub-sample colour by two."""
    width, height = (max(2, round(side * dpi / 2) * 2) / dpi for side in inches)
    return width, height
