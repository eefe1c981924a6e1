"""How evaluation fares over a varied set of models: ``python -m benchmarks.evaluation``.

Every model is captured several times by each method, in turn with dense evaluation; the last
capture counts. With ``--against FOLDER``, another checkout of trainviz does the same in a process
of its own, model by model in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
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
    ratio = np.median(seconds[0][2:]) / np.median(seconds[1][2:])
    return (
        100 * found.evaluations / domain.n_points, float(error.max()),
        100 * float((error > TOLERANCE).mean()), 100 * float(other.mean()), float(ratio),
    )  # fmt: skip


def _timed(evaluator: Evaluator, model: Model, taken: list[float]) -> Any:
    # Of the processor, because other programs take time too.
    start = time.process_time()
    found = evaluator(model.predict)
    taken.append(time.process_time() - start)
    return found


def serve() -> None:
    """Measure the models that are asked for on standard input, for another process."""
    every = models()
    for line in sys.stdin:
        number, *options = json.loads(line)
        print(json.dumps(measure(every[number], *options)), flush=True)


_SERVE = """
import sys
folder, here = sys.argv[1:]
sys.path.insert(0, folder)
import trainviz
sys.path[0] = here
from benchmarks.evaluation import serve
serve()
"""


@contextmanager
def _other_checkout(folder: str) -> Iterator[Callable[..., tuple[float, ...]]]:
    """Measure by the code of another folder."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, folder, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def ask(*options: Any) -> tuple[float, ...]:
            print(json.dumps(options), file=questions, flush=True)
            return tuple(json.loads(answers.readline()))

        yield ask
        questions.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each model, and the distribution over the set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["auto", "adaptive"])
    parser.add_argument("--side", type=int, default=300)
    parser.add_argument("--captures", type=int, default=7)
    parser.add_argument("--against", metavar="FOLDER", help="a checkout that is always adaptive")
    parser.add_argument("--half", choices=("fit", "held-out", "all"), default="all")
    options = parser.parse_args(arguments)
    fill_cache()
    chosen = [
        (number, model) for number, model in enumerate(models())
        if options.half == "all" or model.held_out == (options.half == "held-out")
    ]  # fmt: skip
    titles = [*options.methods, *(["before"] if options.against else [])]
    tables: dict[str, list[tuple[float, ...]]] = {title: [] for title in titles}
    size = options.side, options.captures
    with _other_checkout(options.against) if options.against else nullcontext() as other:
        for number, model in chosen:
            for title, table in tables.items():
                if title == "before" and other is not None:
                    table.append(other(number, "adaptive", *size))
                else:
                    table.append(measure(model, title, *size))
                print(f"{title:9}{model.name:40}" + _line(table[-1]), flush=True)
    for title, table in tables.items():
        for kind, kept in (("all", (True, False)), ("smooth", (True,))):
            rows = np.array([
                row for row, (_, model) in zip(table, chosen, strict=True) if model.smooth in kept
            ])  # fmt: skip
            print(
                f"\n{title}, {kind} ({len(rows)})".ljust(50) + "".join(f"{c:>15}" for c in COLUMNS)
            )
            figures = {
                "median": np.median(rows, 0), "mean": rows.mean(0),
                "90 %": np.quantile(rows, 0.9, axis=0), "worst": rows.max(0),
            }  # fmt: skip
            for name, row in figures.items():
                print(f"{name:49}" + _line(row))


def _line(row: Any) -> str:
    return "".join(f"{value:15.3g}" for value in row)


if __name__ == "__main__":
    main()
