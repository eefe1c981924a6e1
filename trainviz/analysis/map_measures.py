"""The measures of a single map: its classes, their areas, and the boundary between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Float64Array, Map, class_map
from trainviz.analysis.boundary import Line, boundary_lines, line_length
from trainviz.domain.domain import Domain

__all__ = ["MapMeasures", "measure_map"]


@dataclass(frozen=True, eq=False)
class MapMeasures:
    """What :class:`~trainviz.Dynamics` says of one snapshot.

    Attributes
    ----------
    classes : ndarray of int, shape (H, W)
    areas : ndarray of float64, shape (C,)
        The share of grid points that each class has.
    boundary : list of Line
    boundary_length : float
        In plane units.
    """

    classes: npt.NDArray[np.integer]
    areas: Float64Array
    boundary: list[Line]
    boundary_length: float


def measure_map(probabilities: Map, domain: Domain) -> MapMeasures:
    """Measure a class probability map on the domain's grid, ``(C, H, W)``."""
    classes = class_map(probabilities)
    areas = np.bincount(classes.ravel(), minlength=len(probabilities)) / classes.size
    lines = boundary_lines(probabilities, domain.x, domain.y)
    # A border has two lines, one from each of its classes.
    return MapMeasures(classes, areas, lines, line_length(lines) / 2)
