"""The command ``trainviz compare``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from typer import Argument, BadParameter, Option

from trainviz.cli.command import UsageError, command
from trainviz.cli.options import (
    Columns,
    Look,
    ModeName,
    Output,
    Saving,
    Selection,
    Shown,
    Time,
    film_or_picture,
    flag,
    mode_of,
    open_selected,
)
from trainviz.cli.render import require_gif, save_film

if TYPE_CHECKING:
    from trainviz.rendering.comparison import Comparison

__all__ = ["compare"]

Clock = Literal["epoch", "step", "progress"]


def _mode_name(text: str) -> str:
    if text not in get_args(ModeName):
        raise BadParameter(f"{text!r} is no mode; expected one of {', '.join(get_args(ModeName))}")
    return text


@command(
    "Make films and pictures",
    "compare sgd.zarr adam.zarr",
    "compare sgd.zarr adam.zarr -o both.mp4 --labels SGD Adam --disagreement",
    "compare sgd.zarr -o modes.gif --modes region entropy",
)
def compare(
    recordings: Annotated[
        list[str], Argument(metavar="RECORDING...", help="On the same domain, of the same classes.")
    ],
    shown: Shown,
    time: Time,
    selection: Selection,
    look: Look,
    saving: Saving,
    output: Output,
    out: Annotated[
        list[Path] | None,
        Option(
            "-o", "--out", parser=film_or_picture, metavar="FILE",
            help="A film (.mp4 .webm .gif .apng .webp .html) or a picture (.png .svg .pdf .pgf); "
            "without it, only the scores are told; may be given several times.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        Option(metavar="TEXT...", help="One a recording; default: the files' names."),
    ] = None,
    by: Annotated[Clock | None, Option(help="What the clock counts; default: epoch.")] = None,
    modes: Annotated[
        list[str] | None,
        Option(
            parser=_mode_name, metavar="MODE...",
            help="Show one RECORDING in several modes instead.",
        ),
    ] = None,
    disagreement: Annotated[
        bool, Option("--disagreement", help="Add a panel that shows where they differ.")
    ] = False,
    columns: Columns = None,
    epoch: Annotated[
        float | None,
        Option(metavar="EPOCH", help="What the clock shows in a picture; default: the end."),
    ] = None,
) -> None:  # fmt: skip
    """Show several recordings side by side, and say how far they agree."""
    from trainviz.rendering.comparison import compare
    from trainviz.rendering.writers import STILL_SUFFIXES

    out = out or []
    pictures = [path for path in out if path.suffix.lower() in STILL_SUFFIXES]
    require_gif(out, saving)
    if modes:
        _check_modes(recordings, modes, [*shown.given(), *["disagreement"][:disagreement]])
    elif len(recordings) < 2:
        raise UsageError(
            "one RECORDING given, expected at least two; 'trainviz render' shows one, and --modes "
            "shows it in several modes"
        )
    panels, what = (modes, "mode") if modes else (recordings, "recording")
    if labels and len(labels) != len(panels):
        raise UsageError(f"--labels: {len(labels)} given, expected {len(panels)}, one a {what}")
    if look.subtitle:
        raise UsageError("--subtitle is not for compare, but for render and still")
    if epoch is not None and not pictures:
        raise UsageError("--epoch is for a picture: give -o FILE.png; --epochs A:B cuts a film")
    opened = [open_selected(path, selection) for path in recordings]
    chosen: dict[str, Any] = {"modes": modes} if modes else {"mode": mode_of(shown, opened[0])}
    if by:
        chosen["by"] = by
    film = compare(
        opened, labels=labels or (None if modes else _names(recordings)), columns=columns,
        disagreement=disagreement, **chosen, **time.given(), **look.given(),
    )  # fmt: skip
    if not modes:
        _tell_scores(film, output)
    # Before the films, since an epoch that no run has raises here.
    for path in pictures:
        film.still(path, epoch=-1 if epoch is None else epoch)
        output.tell(str(path), path=path, bytes=path.stat().st_size)
    for path in out:
        if path not in pictures:
            save_film(film, path, saving, output)


def _check_modes(recordings: list[str], modes: Sequence[str], others: Sequence[str]) -> None:
    """Check what cannot be combined with several modes."""
    if len(recordings) > 1:
        raise UsageError(f"--modes shows one RECORDING, got {len(recordings)}")
    if len(modes) < 2:
        raise UsageError("--modes: one given, expected at least two; --mode gives a single one")
    for name in others:
        raise UsageError(f"--modes cannot be combined with {flag(name)}")


def _names(paths: Sequence[str]) -> list[str]:
    """Return the file names without suffixes, or the paths if those are not unique."""
    names = [PurePath(path).name.removesuffix(".zip").removesuffix(".zarr") for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _tell_scores(film: Comparison, output: Output) -> None:
    """Tell the reproducibility score of each pair of recordings."""
    from trainviz.analysis.reproducibility import reproducibility

    kind = film.recordings[0].output
    if not kind.has_classes:
        told = f"no reproducibility score: the recordings hold {kind}, no classes"
        output.tell(told, reproducibility=None)
        return
    if not output.json:
        print("reproducibility (share of the window where the last snapshots agree)")
    pairs = list(combinations(zip(film.labels, film.recordings, strict=True), 2))
    widest = max(len(f"{a} / {b}") for (a, _), (b, _) in pairs)
    for (a, first), (b, second) in pairs:
        score = reproducibility(first, second)
        told = f"  {f'{a} / {b}':{widest}}  {score:.3f}"
        output.tell(told, labels=[a, b], reproducibility=score)
