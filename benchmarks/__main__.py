"""``python -m benchmarks``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks import capture, films, memory, pages, sharing, startup, training
from benchmarks.measure import CASES, Case, Row
from benchmarks.report import heading, machine, table, write_json
from benchmarks.scale import DEFAULT, FULL, QUICK
from trainviz._common.jit import fill_cache

_SCALES = {"quick": QUICK, "default": DEFAULT, "full": FULL}
_MEASURING = (capture, films, memory, pages, sharing, startup, training)
"""Importing a module enters its cases."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that were asked for; return 1 if one failed."""
    options = _parse(arguments)
    if options.gpu:
        from benchmarks import gpu

        return gpu.run()
    about, rows, failures = machine(), [], {}
    fill_cache()
    print(heading(about), flush=True)
    for chosen in options.cases:
        start = time.perf_counter()
        try:
            rows += chosen.rows(_SCALES[options.scale])
        except Exception as error:
            failures[chosen.name] = f"{type(error).__name__}: {error}"
        # A run that is stopped has not measured in vain.
        if options.json:
            write_json(options.json, about, options.scale, rows, failures)
        print(f"{chosen.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    _print(rows, options.markdown)
    for name, message in failures.items():
        print(f"{name} failed: {message}", file=sys.stderr)
    return 1 if failures else 0


def _print(rows: Sequence[Row], markdown: bool) -> None:
    print(f"\n{table(rows, markdown=markdown)}\n")
    for row in rows:
        print(f"{'- ' if markdown else ''}{row.name}: {row.note}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.description = "Measure trainviz against what people use without it."
    parser.epilog = f"The cases: {', '.join(CASES)}."
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="scale", action="store_const", const="quick",
                      help="try that everything runs, in about a minute")  # fmt: skip
    size.add_argument("--full", dest="scale", action="store_const", const="full",
                      help="compare every epoch and repeat more often")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", default=["*"],
                        help="cases, also as patterns such as 'film*'")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--gpu", action="store_true",
                        help="run the CUDA tests and measure captures on a GPU")  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.set_defaults(scale="default")
    options = parser.parse_args(arguments)
    options.cases = _choose(parser, options.only)
    return options


def _choose(parser: argparse.ArgumentParser, patterns: Sequence[str]) -> list[Case]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in CASES):
            parser.error(f"no case {pattern!r}; there are {', '.join(CASES)}")
    return [found for name, found in CASES.items() if any(fnmatchcase(name, p) for p in patterns)]


if __name__ == "__main__":
    sys.exit(main())
