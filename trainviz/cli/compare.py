"""The command ``trainviz compare``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from trainviz.cli.options import (
    LOOK,
    MODE,
    MODE_NAMES,
    TIME,
    add_look,
    add_mode,
    add_selection,
    add_time,
    flag,
    mode_of,
    open_selected,
    picked,
)
from trainviz.cli.parsing import UsageError, new_parser, positive, shown_path
from trainviz.cli.render import require_gif, save_film

if TYPE_CHECKING:
    from trainviz.rendering.comparison import Comparison

__all__ = ["add_compare"]

CLOCKS = ("epoch", "step", "progress")


def add_compare(commands: Any) -> None:
    """Add the command to those of an argument parser."""
    parser = new_parser(
        commands, "compare", usage="RECORDING RECORDING [...] [-o FILE ...] [options]",
        about="show several recordings side by side, and say how far they agree",
        example="trainviz compare sgd.zarr adam.zarr -o both.mp4 --labels SGD Adam --disagreement",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "recordings", nargs="+", metavar="RECORDING", help="on the same domain, of the same classes"
    )
    add(
        "-o", "--out", type=shown_path, action="append", default=[], metavar="FILE",
        help="a film (.mp4 .webm .gif .apng .webp .html) or a picture (.png .svg .pdf); without "
        "it, only the scores are printed; may be given several times",
    )  # fmt: skip
    add("--labels", nargs="+", metavar="TEXT", help="one a recording; default: the files' names")
    add("--by", choices=CLOCKS, help="what the clock counts; default: epoch")
    add(
        "--modes", nargs="+", choices=MODE_NAMES, metavar="MODE",
        help="show one RECORDING in several modes instead",
    )  # fmt: skip
    add("--disagreement", action="store_true", help="add a panel that shows where they differ")
    add("--columns", type=positive, metavar="N", help="panels in a row")
    add("--epoch", type=float, help="what the clock shows in a picture; default: -1, the end")
    for add_group in (add_mode, add_time, add_selection, add_look):
        add_group(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from trainviz.rendering.comparison import compare
    from trainviz.rendering.writers import STILL_SUFFIXES

    pictures = [path for path in options.out if path.suffix.lower() in STILL_SUFFIXES]
    labels = _labels(options, bool(pictures))
    recordings = [open_selected(path, options) for path in options.recordings]
    modes = picked(options, ["modes"]) or {"mode": mode_of(options, recordings[0])}
    film = compare(
        recordings, labels=labels, **modes,
        **picked(options, ("by", "disagreement", "columns", *TIME, *LOOK)),
    )  # fmt: skip
    if "modes" not in options:
        print("\n".join(_scores(film)), flush=True)
    # Before the films, since an epoch that no run has raises here.
    for path in pictures:
        film.still(path, **picked(options, ("epoch",)))
        print(path)
    for path in options.out:
        if path not in pictures:
            save_film(film, path, options)
    return 0


def _labels(options: argparse.Namespace, pictures: bool) -> Sequence[str] | None:
    """Check the options before any recording is opened, and return the panels' labels."""
    paths, labels = options.recordings, getattr(options, "labels", None)
    require_gif(options)
    if "modes" in options:
        _check_modes(options)
    elif len(paths) < 2:
        raise UsageError(
            "one RECORDING given, expected at least two; 'trainviz render' shows one, and --modes "
            "shows it in several modes"
        )
    panels, what = (options.modes, "mode") if "modes" in options else (paths, "recording")
    if labels is not None and len(labels) != len(panels):
        raise UsageError(f"--labels: {len(labels)} given, expected {len(panels)}, one a {what}")
    if "subtitle" in options:
        raise UsageError("--subtitle is not for compare, but for render and still")
    if "epoch" in options and not pictures:
        raise UsageError("--epoch is for a picture: give -o FILE.png; --epochs A:B cuts a film")
    return labels if labels is not None or "modes" in options else _names(paths)


def _check_modes(options: argparse.Namespace) -> None:
    """Check what cannot be combined with several modes."""
    if len(options.recordings) > 1:
        raise UsageError(f"--modes shows one RECORDING, got {len(options.recordings)}")
    if len(options.modes) < 2:
        raise UsageError("--modes: one given, expected at least two; --mode gives a single one")
    for name in (*MODE, "disagreement"):
        if name in options:
            raise UsageError(f"--modes cannot be combined with {flag(name)}")


def _names(paths: Sequence[str]) -> list[str]:
    """Return the file names without suffixes, or the paths if those are not unique."""
    names = [PurePath(path).name.removesuffix(".zip").removesuffix(".zarr") for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _scores(film: Comparison) -> Iterator[str]:
    """Yield the lines that report the reproducibility score of each pair of recordings."""
    from trainviz.analysis.reproducibility import reproducibility

    output = film.recordings[0].output
    if not output.has_classes:
        yield f"no reproducibility score: the recordings hold {output}, no classes"
        return
    yield "reproducibility (share of the window where the last snapshots agree)"
    runs = list(zip(film.labels, film.recordings, strict=True))
    names = [f"{a} / {b}" for (a, _), (b, _) in combinations(runs, 2)]
    for name, ((_, a), (_, b)) in zip(names, combinations(runs, 2), strict=True):
        yield f"  {name:{max(map(len, names))}}  {reproducibility(a, b):.3f}"
