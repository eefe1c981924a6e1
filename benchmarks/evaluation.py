"""How evaluation fares over a varied set of models: ``python -m benchmarks.evaluation``.

Every model is captured several times by each method, in turn with dense evaluation; the last
capture counts.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.models import Model, models
from trainviz import Domain
from trainviz._common.jit import fill_cache
from trainviz.evaluation.evaluator import Evaluator

__all__ = ["main", "measure"]

TOLERANCE = 1 / 255
COLUMNS = ("points %", "largest error", "off by more %", "other class %", "time ratio")


def measure(model: Model, method: str, side: int, captures: int) -> tuple[float, ...]:
    """Return the columns for one model, of the last of some captures.

    Parameters
    ----------
    model : Model
    method : str
    side : int
        Grid points along either axis.
    captures : int

    Returns
    -------
    tuple of float
    """
    domain = Domain((-3, 3), (-3, 3), points_per_axis=side)
    options: dict[str, Any] = {"output": model.output}
    tested = Evaluator(domain, method=method, **options)  # type: ignore[arg-type]
    dense = Evaluator(domain, method="dense", **options)
    seconds: tuple[list[float], list[float]] = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(captures):
            found, exact = (
                _timed(each, model, taken)
                for each, taken in zip((tested, dense), seconds, strict=True)
            )
    got = found.map if isinstance(found.map, np.ndarray) else found.map.dense()
    error = np.abs(got - exact.map).max(axis=0)
    first, second = np.sort(exact.map, axis=0)[:-3:-1]
    # Two classes that are equal to single precision have no order.
    other = (got.argmax(axis=0) != exact.map.argmax(axis=0)) & (first - second > 1e-6)
    # The fastest of the later ones, because other programs only ever add time.
    ratio = min(seconds[0][2:]) / min(seconds[1][2:])
    return (
        100 * found.evaluations / domain.n_points, float(error.max()),
        100 * float((error > TOLERANCE).mean()), 100 * float(other.mean()), ratio,
    )  # fmt: skip


def _timed(evaluator: Evaluator, model: Model, taken: list[float]) -> Any:
    start = time.perf_counter()
    found = evaluator(model.predict)
    taken.append(time.perf_counter() - start)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each model, and the distribution over the set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["auto", "adaptive"])
    parser.add_argument("--side", type=int, default=300)
    parser.add_argument("--captures", type=int, default=5)
    parser.add_argument("--half", choices=("fit", "held-out", "all"), default="all")
    options = parser.parse_args(arguments)
    fill_cache()
    chosen = [
        model for model in models()
        if options.half == "all" or model.held_out == (options.half == "held-out")
    ]  # fmt: skip
    for method in options.methods:
        table = []
        for model in chosen:
            table.append(measure(model, method, options.side, options.captures))
            print(f"{method:9}{model.name:40}" + _line(table[-1]), flush=True)
        for title, kept in (("all", (True, False)), ("smooth", (True,))):
            rows = np.array([
                row for row, model in zip(table, chosen, strict=True) if model.smooth in kept
            ])  # fmt: skip
            print(
                f"\n{method}, {title} ({len(rows)})".ljust(50)
                + "".join(f"{c:>15}" for c in COLUMNS)
            )
            figures = {
                "median": np.median(rows, 0), "mean": rows.mean(0),
                "90 %": np.quantile(rows, 0.9, axis=0), "worst": rows.max(0),
            }  # fmt: skip
            for name, row in figures.items():
                print(f"{name:49}" + _line(row))
        print()


def _line(row: Any) -> str:
    return "".join(f"{value:15.3g}" for value in row)


if __name__ == "__main__":
    main()
