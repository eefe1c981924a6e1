"""What the maps of a recording hold: class probabilities, probabilities of labels, or a value."""

from __future__ import annotations

from enum import Enum

import numpy as np

from trainviz._common.arrays import Map

__all__ = ["SUM_TOLERANCE", "OutputKind"]

SUM_TOLERANCE = 0.02
"""bfloat16 keeps 8 bits of a probability, so that valid sums are 1 only within about 0.01."""


class OutputKind(str, Enum):
    """What maps hold; equal to the string that is stored with a recording.

    Examples
    --------
    >>> OutputKind("multilabel").counted(3), OutputKind("values").counted(1)
    ('3 labels', '1 value')
    >>> OutputKind.PROBABILITIES == "probabilities"
    True
    """

    PROBABILITIES = "probabilities"
    MULTILABEL = "multilabel"
    VALUES = "values"

    # Print as the plain string, which is what users pass and compare with.
    __str__ = str.__str__
    __repr__ = str.__repr__

    @property
    def has_classes(self) -> bool:
        """Whether maps hold the probabilities of classes that exclude one another."""
        return self is OutputKind.PROBABILITIES

    @property
    def has_labels(self) -> bool:
        """Whether maps hold a probability for each of several labels."""
        return self is OutputKind.MULTILABEL

    @property
    def has_value(self) -> bool:
        """Whether maps hold one number, without bounds."""
        return self is OutputKind.VALUES

    @property
    def least_columns(self) -> int:
        """The smallest number of planes in a map."""
        return 2 if self.has_classes else 1

    @property
    def plural(self) -> str:
        """The word for the planes of a map: "classes", "labels" or "value"."""
        return {"probabilities": "classes", "multilabel": "labels"}.get(self.value, "value")

    def counted(self, count: int) -> str:
        """Return a count with its unit, e.g. "3 classes"."""
        return f"{count} {self.plural}"

    def fault(self, values: Map) -> str | None:
        """Return why an array, shape (C, H, W), cannot be a map of this kind; None if it can."""
        if len(values) < self.least_columns:
            return f"a map of {self} has at least {self.least_columns} planes, not {len(values)}"
        if self.has_value and len(values) > 1:
            return f"a map of values has one plane, not {len(values)}"
        # The sums, which are needed anyway, are finite only if all values are.
        sums = values.sum(axis=0)
        if not np.isfinite(sums).all():
            return "a map must be finite"
        if self.has_labels and (values.min() < 0 or values.max() > 1):
            return "the probabilities of labels must lie between 0 and 1"
        if self.has_classes and (values.min() < 0 or np.abs(sums - 1).max() >= SUM_TOLERANCE):
            return "probabilities must be finite, not negative, and sum to 1"
        return None
