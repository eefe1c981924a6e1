"""What maps hold, and which arrays are no maps of it."""

import json

import numpy as np
import pytest

from trainviz._common.output_kind import OutputKind

HALVES = np.full((2, 3, 4), 0.5, np.float32)


@pytest.mark.parametrize("kind", OutputKind)
def test_a_kind_is_the_string_that_is_stored(kind):
    assert OutputKind(str(kind)) is kind
    assert f"{kind}" == kind.value == json.loads(json.dumps(kind))
    assert repr(kind) == repr(kind.value)


@pytest.mark.parametrize(
    ("kind", "values", "fault"),
    [
        (OutputKind.PROBABILITIES, HALVES, None),
        (OutputKind.PROBABILITIES, HALVES[:1] * 2, "at least 2 planes"),
        (OutputKind.PROBABILITIES, 0.9 * HALVES, "sum to 1"),
        (OutputKind.PROBABILITIES, np.stack([HALVES[0] * 3, -HALVES[0]]), "not negative"),
        (OutputKind.MULTILABEL, 0.9 * HALVES, None),
        (OutputKind.MULTILABEL, 3 * HALVES, "between 0 and 1"),
        (OutputKind.MULTILABEL, -HALVES, "between 0 and 1"),
        (OutputKind.VALUES, 300 * HALVES[:1], None),
        (OutputKind.VALUES, HALVES, "one plane, not 2"),
        *((kind, np.float32(bad) * HALVES[: kind.least_columns], "finite")
          for kind in OutputKind for bad in (np.nan, np.inf)),
    ],
)  # fmt: skip
def test_an_array_is_a_map_or_it_is_said_why_not(kind, values, fault):
    found = kind.fault(values)
    assert found is None if fault is None else fault in found
