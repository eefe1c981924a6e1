"""The command ``trainviz replay``."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from trainviz.cli.command import command, tell_problem
from trainviz.cli.options import Output
from trainviz.errors import ReplayWarning

if TYPE_CHECKING:
    from trainviz.domain.domain import Domain

__all__ = ["replay"]

# A copy of the names in trainviz.evaluation.outputs, which is slow to import.
OutputName = Literal[
    "logits", "probabilities", "log_probabilities", "values", "multilabel", "multilabel_logits"
]
Limits = tuple[float, float]


@command(
    "Keep and hand on recordings",
    "replay checkpoints/*.keras -o runs/a.zarr --data data.npz",
    "replay runs/*.pt --model package.module:make_network --xlim -3 3 --ylim -3 3 -o a.zarr",
)
def replay(
    checkpoints: Annotated[
        list[str], Argument(metavar="CHECKPOINT...", help="Files, one folder, or one glob.")
    ],
    out: Annotated[
        str, Option("-o", "--out", metavar="PATH", help="Where to record, e.g. runs/a.zarr.")
    ],
    output: Output,
    model: Annotated[
        str | None,
        Option(
            metavar="MODULE:NAME",
            help="What the weights belong to: a model, a class, or a function that makes one; the "
            "module is imported, and so executed, from the working directory or wherever Python "
            "finds it (files .keras bring their model).",
        ),
    ] = None,
    xlim: Annotated[
        Limits | None, Option(metavar="LOW HIGH", help="The window; default: around the data.")
    ] = None,
    ylim: Annotated[
        Limits | None, Option(metavar="LOW HIGH", help="The window; default: around the data.")
    ] = None,
    resolution: Annotated[int, Option(metavar="N", help="Points an axis.")] = 400,
    data: Annotated[
        str | None,
        Option(
            metavar="FILE.npz",
            help="Arrays X and y, drawn over the map; X_train, y_train and the like are groups.",
        ),
    ] = None,
    returned: Annotated[
        OutputName | None,
        Option(
            "--output",
            help="What the model returns; default: logits of torch, probabilities of Keras.",
        ),
    ] = None,
    evaluation: Annotated[
        Literal["auto", "adaptive", "dense"], Option(help="Where the model is asked.")
    ] = "auto",
    skip: Annotated[
        bool, Option("--skip", help="Go on without the checkpoints that cannot be replayed.")
    ] = False,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace the recording at PATH.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Continue a replay that was interrupted.")
    ] = False,
    allow_pickle: Annotated[
        bool,
        Option(
            "--allow-pickle",
            help="Load files that hold more than weights, which can run code: only if you trust "
            "them.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        Option(metavar="ADDRESS", help="Of a Dask cluster whose workers do the work."),
    ] = None,
) -> None:  # fmt: skip
    """Make a recording from checkpoints."""
    from trainviz.capture.replay.replay import replay

    groups = None if data is None else _data(data)
    domain = _domain(xlim, ylim, resolution, groups)
    network = None if model is None else _imported(model)
    with output.progress(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        warnings.simplefilter("always", ReplayWarning)
        try:
            recording = replay(
                checkpoints[0] if len(checkpoints) == 1 else checkpoints, domain=domain,
                model=network, data=groups, output=returned, evaluation=evaluation, path=out,
                overwrite=overwrite, resume=resume, on_error="skip" if skip else "raise",
                allow_pickle=allow_pickle, scheduler=scheduler,
            )  # fmt: skip
        except TypeError as error:  # Only --model can be of a wrong type.
            raise ValueError(str(error)) from error
    _tell_warnings(told)
    output.tell(
        f"{out}: {recording!r}\nRender it:\n    trainviz render {shlex.quote(out)} -o film.mp4",
        path=out, snapshots=len(recording),
    )  # fmt: skip


def _tell_warnings(told: Sequence[warnings.WarningMessage]) -> None:
    for warning in told:
        if isinstance(warning.message, ReplayWarning):
            for path, why in warning.message.skipped:
                reason = why if path in why else f"{path}: {why}"
                tell_problem(f"skipped: {reason}")
        elif not issubclass(warning.category, DeprecationWarning):
            tell_problem(str(warning.message))


def _imported(spec: str) -> Any:
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        raise ValueError(f"--model {spec}: expected MODULE:NAME, e.g. package.module:make_network")
    # As "python -m" does, so that a project need not be installed.
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # The module's own code can raise anything.
        raise ValueError(f"--model {spec}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    return found


Data = tuple[Any, Any] | dict[str, tuple[Any, Any]]


def _data(path: str) -> Data:
    """Return X and y, or of X_train, y_train, X_test, y_test and the like the groups."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            groups = [name.removeprefix("X_") for name in arrays if name.startswith("X_")]
            if "X" in arrays or not groups:
                return arrays["X"], arrays["y"]
            return {name: (arrays[f"X_{name}"], arrays[f"y_{name}"]) for name in groups}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"--data {path}: expected a file that numpy.savez(path, X=X, y=y) writes, or "
            f"numpy.savez(path, X_train=X, y_train=y, X_test=X2, y_test=y2): {error}"
        ) from error


def _domain(xlim: Limits | None, ylim: Limits | None, resolution: int, data: Data | None) -> Domain:
    import numpy as np

    from trainviz.domain.domain import Domain

    if xlim and ylim:
        return Domain(xlim, ylim, points_per_axis=resolution)
    if data is None or xlim or ylim:
        raise ValueError("give --xlim LOW HIGH and --ylim LOW HIGH, or --data alone")
    pairs = data.values() if isinstance(data, dict) else [data]
    return Domain.around(np.concatenate([X for X, _ in pairs]), resolution=resolution)
