"""The numbers along axes: as many as fit, in a form that can be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

__all__ = ["settle_ticks", "thin_numbers"]

_STEPS = (1, 2, 2.5, 5, 10)
_MOST = 9
"""As many intervals as matplotlib has at most."""


def settle_ticks(axes: Sequence[Any], most: int = _MOST) -> bool:
    """Give arranged axes of one size and window as many ticks as fit, with ``most`` intervals.

    A power of ten or an offset that the numbers have in common is written into the
    axis label, since matplotlib writes it where labels and titles are.

    Returns
    -------
    bool
        Whether a label has changed, so that the figure is to be arranged again.
    """
    changed = False
    for which in ("x", "y"):
        lines = [getattr(ax, f"{which}axis") for ax in axes]
        side = "labelbottom" if which == "x" else "labelleft"
        shown = [line for line in lines if line.get_tick_params().get(side, True)]
        if not shown or not len(shown[0].get_majorticklocs()):
            continue
        _thin(lines, shown[0], _between(axes) if which == "x" else float("inf"), most)
        for line in lines:
            changed |= _name_factor(line, line in shown)
    return changed


def thin_numbers(axis: Any, most: int = _MOST, *, whole: bool = False) -> None:
    """Give one axis as many ticks as there is room for, at most so many intervals.

    ``whole`` is for epochs and steps: half an epoch is no moment.
    """
    _thin([axis], axis, float("inf"), most, whole)


def _thin(
    lines: Sequence[Any], shown: Any, beside: float, most: int = _MOST, whole: bool = False
) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator, ScalarFormatter

    if not isinstance(shown.get_major_formatter(), ScalarFormatter):
        # Dates and categories have ticks of their own.
        return
    labels = shown.get_majorticklabels()
    if not labels:
        return
    size = labels[0].get_fontsize()
    # Smaller numbers than of 6 points cannot be read in print.
    for points in (size, max(0.8 * size, min(size, 6.0))):
        for line in lines:
            line.set_tick_params(labelsize=points)
        for count in range(min(most, max(1, shown.get_tick_space())), 0, -1):
            for line in lines:
                line.set_major_locator(MaxNLocator(count, steps=_STEPS, integer=whole))
            spans = _spans(shown)
            if len(spans) > 1 and _fit(shown, spans, beside):
                return
    # Not even two numbers have room: one says where the axis lies.
    low, high = sorted(shown.get_view_interval())
    inner = [place for place in shown.get_majorticklocs() if low <= place <= high]
    for line in lines:
        line.set_major_locator(FixedLocator(inner[-1:]))


def _spans(line: Any) -> list[tuple[float, float]]:
    """Return from where to where the numbers of an axis reach, in pixels along it."""
    low, high = sorted(line.get_view_interval())
    slack = 1e-9 * (high - low)
    boxes = [
        label.get_window_extent()
        for place, label in zip(line.get_majorticklocs(), line.get_majorticklabels(), strict=False)
        if low - slack <= place <= high + slack
    ]
    return sorted((box.x0, box.x1) if line.axis_name == "x" else (box.y0, box.y1) for box in boxes)


def _fit(line: Any, spans: Sequence[tuple[float, float]], beside: float) -> bool:
    """Tell whether numbers keep apart from one another, and from those of the axes beside."""
    pixels = line.get_majorticklabels()[0].get_fontsize() * line.axes.figure.dpi / 72
    # Half the height of a digit beside one another, a little above one another.
    gap = (0.5 if line.axis_name == "x" else 0.1) * pixels
    ends, box = [end for span in spans for end in span], line.axes.get_window_extent()
    apart = all(left + gap <= right for left, right in zip(ends[1:-1:2], ends[2::2], strict=True))
    return apart and (box.x0 - ends[0]) + (ends[-1] - box.x1) + gap <= beside


def _between(axes: Sequence[Any]) -> float:
    """Return how many pixels lie between axes side by side."""
    boxes = [ax.get_window_extent() for ax in axes]
    gaps = [right.x0 - left.x1 for left, right in pairwise(boxes) if right.x0 > left.x1]
    return min(gaps, default=float("inf"))


def _name_factor(line: Any, is_shown: bool) -> bool:
    """Move what all numbers of an axis have in common into its label; tell if there is such."""
    text = _factor(line)
    line.get_offset_text().set_visible(False)
    if not text or not is_shown:
        return False
    name = line.get_label_text()
    if name.endswith(text):
        return False
    line.set_label_text(f"{name} ({text})" if name else text)
    return True


def _factor(line: Any) -> str:
    """Return what matplotlib writes as 1e-5+1.23456e5: a power of ten, an offset or both."""
    # Formatting the numbers finds out what they have in common.
    line.get_majorticklabels()
    text = line.get_major_formatter().get_offset().replace("\N{MINUS SIGN}", "-")
    found = re.fullmatch(r"(1e[-+]?\d+)?([-+].+)?", text)
    if found is None:
        return str(text)
    power, offset = found.groups()
    parts = [f"\N{MULTIPLICATION SIGN}{power}"] if power else []
    parts += [f"{float(offset):+.12g}"] if offset else []
    return " ".join(parts).replace("-", "\N{MINUS SIGN}")
