"""Turn a map into colours: the modes, and how to add one. Public.

``trainviz.animate(recording, mode="entropy")`` takes a mode by its name, and
``mode=trainviz.modes.Entropy(levels=0.5)`` one with options. A mode of your
own takes a few lines:

>>> import numpy as np
>>> import trainviz as tv
>>> @tv.register_mode
... class Runner(tv.Mode):
...     name, label, limits = "runner-up", "second highest probability", (0.0, 0.5)
...     def values(self, probabilities):                   # (C, h, w) -> (h, w)
...         return np.sort(probabilities, axis=0)[-2]
>>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
>>> _ = recorder.capture(lambda X: 1 / (1 + np.exp(-9 * X[:, 0])), epoch=0)
>>> tv.animate(recorder.recording, mode="runner-up")
Animation(runner-up mode, 1 frames, ...)
>>> del MODES["runner-up"]
"""

from trainviz.modes.base import (
    MODES,
    Beside,
    Contour,
    Mode,
    find_mode,
    register_mode,
)
from trainviz.modes.comparing import Change, Difference
from trainviz.modes.region import Region
from trainviz.modes.scalar import Boundary, Entropy, Margin, Probability
from trainviz.modes.values import Values

__all__ = [
    "MODES",
    "Beside",
    "Boundary",
    "Change",
    "Contour",
    "Difference",
    "Entropy",
    "Margin",
    "Mode",
    "Probability",
    "Region",
    "Values",
    "find_mode",
    "register_mode",
]
