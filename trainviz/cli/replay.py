"""The command ``trainviz replay``."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainviz.errors import ReplayWarning

if TYPE_CHECKING:
    from trainviz.domain.domain import Domain

__all__ = ["add_replay"]

# A copy of the names in trainviz.evaluation.outputs, which is slow to import.
_OUTPUTS = (
    "logits", "probabilities", "log_probabilities", "values", "multilabel", "multilabel_logits"
)  # fmt: skip


def add_replay(commands: Any) -> None:
    """Add the command to those of an argument parser.

    Parameters
    ----------
    commands : argparse._SubParsersAction
    """
    parser = commands.add_parser(
        "replay", help="make a recording from checkpoints", allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make a recording from checkpoints.",
        epilog="example:\n  trainviz replay runs/*.pt --model package.module:make_network "
        "--xlim -3 3 --ylim -3 3 -o runs/a.zarr",
    )  # fmt: skip
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="CHECKPOINTS", help="files, one folder, or one glob")
    add(
        "-o", "--out", required=True, metavar="PATH",
        help="where to record, e.g. runs/a.zarr",
    )  # fmt: skip
    add(
        "--model", metavar="MODULE:NAME",
        help="what the weights belong to: a model, a class, or a function that makes one; the "
        "module is imported, and so executed, from the working directory or wherever Python "
        "finds it (files .keras bring their model)",
    )  # fmt: skip
    for name in ("--xlim", "--ylim"):
        add(
            name, nargs=2, type=float, metavar=("LOW", "HIGH"),
            help="the window (default: around the data)",
        )  # fmt: skip
    add("--resolution", type=int, default=400, metavar="N", help="points an axis (%(default)s)")
    add(
        "--data",
        metavar="FILE.npz",
        help="arrays X and y, drawn over the map; X_train, y_train and the like are groups",
    )
    add(
        "--output", choices=_OUTPUTS,
        help="what the model returns (default: logits of torch, probabilities of Keras)",
    )  # fmt: skip
    add(
        "--evaluation",
        choices=("auto", "adaptive", "dense"),
        default="auto",
        help="%(default)s",
    )
    add("--skip", action="store_true", help="go on without the checkpoints that cannot be replayed")
    add("--overwrite", action="store_true", help="replace the recording at PATH")
    add("--resume", action="store_true", help="continue a replay that was interrupted")
    add(
        "--allow-pickle", action="store_true",
        help="load files that hold more than weights, which can run code: only if you trust them",
    )  # fmt: skip
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster whose workers do the work")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from trainviz.capture.replay.replay import replay

    data = None if options.data is None else _data(options.data)
    domain = _domain(options, data)
    model = None if options.model is None else _imported(options.model)
    listed: Any = options.checkpoints
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        warnings.simplefilter("always", ReplayWarning)
        try:
            recording = replay(
                listed[0] if len(listed) == 1 else listed, domain=domain, model=model, data=data,
                output=options.output, evaluation=options.evaluation, path=options.out,
                overwrite=options.overwrite, resume=options.resume,
                on_error="skip" if options.skip else "raise", allow_pickle=options.allow_pickle,
                scheduler=options.scheduler,
            )  # fmt: skip
        except TypeError as error:  # Only --model can be of a wrong type.
            raise ValueError(str(error)) from error
    _tell(told)
    print(f"{options.out}: {recording!r}\nRender it:")
    print(f"    trainviz render {shlex.quote(options.out)} -o film.mp4")
    return 0


def _tell(told: Sequence[warnings.WarningMessage]) -> None:
    for warning in told:
        if isinstance(warning.message, ReplayWarning):
            for path, why in warning.message.skipped:
                reason = why if path in why else f"{path}: {why}"
                print(f"trainviz: skipped: {reason}", file=sys.stderr)
        elif not issubclass(warning.category, DeprecationWarning):
            print(f"trainviz: {warning.message}", file=sys.stderr)


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


def _domain(options: argparse.Namespace, data: Data | None) -> Domain:
    import numpy as np

    from trainviz.domain.domain import Domain

    if options.xlim and options.ylim:
        window = tuple(options.xlim), tuple(options.ylim)
        return Domain(*window, points_per_axis=options.resolution)
    if data is None or options.xlim or options.ylim:
        raise ValueError("give --xlim LOW HIGH and --ylim LOW HIGH, or --data alone")
    pairs = data.values() if isinstance(data, dict) else [data]
    return Domain.around(np.concatenate([X for X, _ in pairs]), resolution=options.resolution)
