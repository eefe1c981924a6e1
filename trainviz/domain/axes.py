"""What the two axes of a window show: numbers, dates, or categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

__all__ = ["LONGEST_NAME", "MAX_CATEGORIES", "NUMBERS", "Axis", "shortened"]

MAX_CATEGORIES = 50
"""With more, a band is a few pixels wide, and its name has no room."""

LONGEST_NAME = 1000
"""Characters of a category or a fixed text that are kept, and read from a recording on disk."""

_FIRST_DAY, _LAST_DAY = -719162, 2932896
"""The days that matplotlib can show, from the year 1 to 9999."""

_KINDS = ("number", "category", "date")


@dataclass(frozen=True)
class Axis:
    """What the coordinates along an axis mean.

    Attributes
    ----------
    kind : {"number", "category", "date"}
        Coordinates are numbers; or category k is the band from ``k - 0.5`` to
        ``k + 0.5``; or they are days since 1970-01-01, as matplotlib counts them.
    categories : tuple of str
        The names of the bands, from the lower end; empty for the other kinds.

    Examples
    --------
    >>> axis = Axis("category", ("Paris", "Rome"))
    >>> axis.limits, axis.band(np.array([-0.5, 0.2, 0.6, 1.5]))
    ((-0.5, 1.5), array([0, 0, 1, 1]))
    >>> axis.describe(axis.limits)
    'Paris, Rome'
    """

    kind: Literal["number", "category", "date"] = "number"
    categories: tuple[str, ...] = ()

    @property
    def bands(self) -> int | None:
        """The number of categories; None for numbers and dates."""
        return len(self.categories) if self.kind == "category" else None

    @property
    def limits(self) -> tuple[float, float]:
        """The two ends of an axis of categories."""
        return -0.5, len(self.categories) - 0.5

    def grid_lines(self, wanted: int) -> int:
        """Return a number of grid lines near ``wanted``: the same number for each category."""
        if self.bands is None:
            return wanted
        each = max(1, round(wanted / self.bands))
        # A grid has at least two lines.
        return self.bands * max(each, 2 if self.bands == 1 else 1)

    def band(self, places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.intp]:
        """Return the category at coordinates along the axis."""
        found: npt.NDArray[np.intp] = np.floor(places + 0.5).astype(np.intp)
        return found.clip(0, len(self.categories) - 1)

    def name_at(self, place: float) -> str:
        """Return in words what a coordinate along the axis stands for."""
        if self.kind == "category":
            return self.categories[int(self.band(np.array(place)))]
        if self.kind == "date":
            return str(np.datetime64(round(86400 * place), "s")).removesuffix("T00:00:00")
        return f"{place:.6g}"

    def check_grid(self, limits: tuple[float, float], lines: int) -> None:
        """Raise a ValueError if the window or the grid does not fit the axis."""
        if self.kind == "date" and not _FIRST_DAY < limits[0] < limits[1] < _LAST_DAY:
            raise ValueError(
                f"an axis of dates from day {limits[0]:g} to {limits[1]:g}: expected years from 1 "
                "to 9999; drop such dates, or take a smaller margin="
            )
        if self.bands is None:
            return
        if tuple(limits) != self.limits or lines % self.bands:
            raise ValueError(
                f"an axis of {self.bands} categories from {limits[0]:g} to {limits[1]:g} with "
                f"{lines} grid lines: expected {self.limits} and a multiple of {self.bands}"
            )

    def describe(self, limits: tuple[float, float]) -> str:
        """Return in words what a window shows along the axis."""
        if self.kind == "category":
            names = ", ".join(shortened(name) for name in self.categories[:8])
            more = len(self.categories) - 8
            return names + (f", ... ({more} more)" if more > 0 else "")
        if self.kind == "date":
            low, high = (np.datetime64(round(86400 * day), "s") for day in limits)
            return f"{str(low)[:10]} to {str(high)[:10]}"
        return f"{limits[0]:g} to {limits[1]:g}"

    def stored(self) -> dict[str, Any]:
        """Return the axis as JSON values."""
        return {"kind": self.kind, "categories": list(self.categories)}

    @classmethod
    def from_stored(cls, found: Mapping[str, Any]) -> Axis:
        """Return the axis of a recording on disk.

        Raises
        ------
        ValueError
            If it is of an unknown kind, or has other categories than an axis can have.
        """
        kind, names = found["kind"], found["categories"]
        wanted = range(1, MAX_CATEGORIES + 1) if kind == "category" else range(1)
        fits = isinstance(names, Sequence) and not isinstance(names, str) and len(names) in wanted
        if kind not in _KINDS or not fits:
            raise ValueError(f"an axis of the kind {kind!r} with the categories {names!r:.100}")
        if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names):
            raise ValueError("the names of an axis's categories are no short texts")
        return cls(cast(Literal["number", "category", "date"], kind), tuple(names))


NUMBERS = Axis(), Axis()
"""The axes of a window onto numbers."""


def shortened(name: str, longest: int = 24) -> str:
    """Return a name on one line, with an ellipsis where it is longer.

    Examples
    --------
    >>> shortened("a very long name of a category", 12)
    'a very long…'
    """
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "\u2026"
