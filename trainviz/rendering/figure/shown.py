"""Figures that show themselves: in a notebook, and by ``pyplot.show()``."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["ShownFigure", "hand_to_pyplot"]

_FILES_ONLY = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}
"""Backends of matplotlib that show nothing: a figure handed to them would only take memory."""


class ShownFigure(Figure):
    """A figure that a notebook shows once, whether or not it is the value of its cell."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from matplotlib import pyplot

        # The cell shows it now; pyplot would show it once more at the end of the cell.
        pyplot.close(self)
        FigureCanvasAgg(self)
        return {}


def hand_to_pyplot(figure: Any) -> None:
    """Let ``pyplot.show()``, or the end of a notebook's cell, show a finished figure.

    Matplotlib before 3.11 takes only figures that pyplot has made; there, a notebook
    shows the value of a cell alone.
    """
    from matplotlib import pyplot

    # Windows belong to the main thread.
    if threading.current_thread() is not threading.main_thread():
        return
    # A backend that cannot be loaded shows nothing, and the figure is still of use.
    with suppress(ValueError, ImportError):
        if matplotlib.get_backend().lower() not in _FILES_ONLY:
            pyplot.figure(figure)
