"""Finds checkpoints, and orders them by the epochs in their content or their names."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from trainviz.errors import CheckpointError

__all__ = [
    "SUFFIXES",
    "Checkpoint",
    "CheckpointInfo",
    "Checkpoints",
    "Skipped",
    "find_checkpoints",
    "in_order",
    "numbers_of",
]

StrPath: TypeAlias = "str | os.PathLike[str]"
Checkpoints: TypeAlias = "StrPath | Sequence[StrPath] | Mapping[int, StrPath]"
Skipped: TypeAlias = list[tuple[str, str]]

SUFFIXES = (".ckpt", ".pt", ".pth", ".safetensors", ".keras", ".h5")
"""Endings of the files that are taken from a folder."""

_NUMBER = re.compile(r"(?<![0-9.])(\d+)(?!\d*\.\d)|(?<=[^0-9]\.)(\d+)(?!\d*\.\d)")
_NAMED = re.compile(r"(epochs?|ep|global_steps?|steps?)[ =_.-]*(\d+)(?!\d)", re.IGNORECASE)
_LAST = re.compile(r"last(-v\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class CheckpointInfo:
    """The epoch, step and metrics that a checkpoint or its name states.

    Attributes
    ----------
    epoch, step : int or None
        None if not stated.
    metrics : dict of str to float
    """

    epoch: int | None = None
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A file, and the moment of training that it holds.

    Attributes
    ----------
    path : str
        As it was given.
    epoch : int
    step : int or None
    metrics : dict of str to float
    """

    path: str
    epoch: int
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.path} (epoch {self.epoch})"

    def absolute(self) -> Checkpoint:
        """Return a copy with an absolute path, for processes with another working directory."""
        return self if "://" in self.path else replace(self, path=os.path.abspath(self.path))


def numbers_of(path: StrPath) -> CheckpointInfo:
    """Return the epoch and step in a file's name, or in its folder's if the name has none.

    The epoch is the number after "epoch" (or "ep"), else the last whole number that is not a
    step; the step is the number after "step".

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    CheckpointInfo

    Examples
    --------
    >>> numbers_of("epoch=3-step=120.ckpt"), numbers_of("resnet18_05-0.93.pt").epoch
    (CheckpointInfo(epoch=3, step=120, metrics={}), 5)
    >>> numbers_of("run/7/model.safetensors").epoch
    7
    """
    own = Path(path)
    for name in (_stem(own.name), own.parent.name):
        named = {match[1].lower()[:2]: int(match[2]) for match in _NAMED.finditer(name)}
        epoch, step = named.get("ep"), named.get("st", named.get("gl"))
        if epoch is None:
            rest = _NAMED.sub(" ", name)
            numbers = [int(match[1] or match[2]) for match in _NUMBER.finditer(rest)]
            epoch = numbers[-1] if numbers else None
        if epoch is not None or step is not None:
            return CheckpointInfo(epoch, step)
    return CheckpointInfo()


def find_checkpoints(
    checkpoints: Checkpoints, *, any_suffix: bool = False
) -> tuple[list[tuple[int | None, str]], Skipped]:
    """Return the checkpoint files that exist, and those that are missing.

    Parameters
    ----------
    checkpoints : path, glob, sequence of paths, or mapping of int to path
    any_suffix : bool
        Take every file of a folder, and whatever else is listed.

    Returns
    -------
    found : list of (int or None, str)
        The epoch that was given, and the path; in natural order of the names.
    missing : list of (str, str)
        Path and reason.

    Raises
    ------
    TypeError
        If it is none of these.
    CheckpointError
        If nothing is found.

    Examples
    --------
    >>> find_checkpoints("no/such/*.ckpt")
    Traceback (most recent call last):
        ...
    trainviz.errors.CheckpointError: checkpoints='no/such/*.ckpt': no file matches
    """
    named: list[tuple[int | None, str]]
    if isinstance(checkpoints, Mapping):
        named = [(_given_epoch(epoch), _path(path)) for epoch, path in checkpoints.items()]
    elif isinstance(checkpoints, (str, os.PathLike)):
        named = [(None, path) for path in _expanded(_path(checkpoints), any_suffix)]
    else:
        listed = checkpoints if isinstance(checkpoints, Iterable) else [checkpoints]
        named = [(None, _path(path)) for path in listed]
    if not named:
        raise CheckpointError(f"checkpoints={checkpoints!r}: no checkpoint is listed")
    # Files before links to them ("best.pt"), because the file's own name states the epoch.
    named.sort(key=lambda item: (os.path.islink(item[1]), natural_key(item[1])))
    found, missing, seen = [], [], set()
    for epoch, path in named:
        if "://" not in path and not os.path.exists(path):
            missing.append((path, "there is no such file"))
        elif (real := os.path.realpath(path)) not in seen or epoch is not None:
            seen.add(real)
            found.append((epoch, path))
    return found, missing


def in_order(
    found: Sequence[tuple[int | None, str]],
    describe: Callable[[str], CheckpointInfo],
    recorded: Sequence[tuple[int, int | None]] = (),
) -> tuple[list[Checkpoint], Skipped]:
    """Return checkpoints in the order of their epochs and steps, and those that do not fit.

    Parameters
    ----------
    found : sequence of (int or None, str)
        As of :func:`find_checkpoints`.
    describe : callable
        Returns the information in a file; raises a :class:`CheckpointError` if it cannot.
    recorded : sequence of (int, int or None)
        Epoch and step of what is recorded already, which is left out.

    Returns
    -------
    checkpoints : list of Checkpoint
    unusable : list of (str, str)
        Path and reason.
    """
    usable: list[Checkpoint] = []
    unusable: Skipped = []
    for epoch, path in found:
        try:
            usable.append(_placed(path, epoch, describe(path)))
        except CheckpointError as error:
            unusable.append((path, str(error)))
    usable.sort(key=lambda one: (one.epoch, -1 if one.step is None else one.step))
    ordered: list[Checkpoint] = []
    last = recorded[-1] if recorded else None
    steps_of: dict[int, list[int | None]] = {}
    for epoch, step in recorded:
        steps_of.setdefault(epoch, []).append(step)
    for one in _without_last(usable):
        if any(_same(one, one.epoch, step) for step in steps_of.get(one.epoch, [])):
            continue
        reason = _misplaced(one, ordered, last)
        if reason:
            unusable.append((one.path, reason))
        else:
            ordered.append(one)
    return ordered, unusable


def natural_key(path: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts 2 before 10.

    Examples
    --------
    >>> sorted(["e10.pt", "e9.pt"], key=natural_key)
    ['e9.pt', 'e10.pt']
    """
    parts = re.findall(r"\d+|\D+", path)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _placed(path: str, epoch: int | None, own: CheckpointInfo) -> Checkpoint:
    named = numbers_of(path)
    if epoch is None:
        epoch = named.epoch if own.epoch is None else own.epoch
    if epoch is None:
        raise CheckpointError(
            f"{path}: neither its content nor its name says its epoch: give "
            "checkpoints={epoch: path, ...}"
        )
    step = named.step if own.step is None else own.step
    return Checkpoint(path, epoch, step, own.metrics)


def _without_last(ordered: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Leave out "last", which trainers write beside the numbered file of the same moment."""
    lasts = {one.path for one in ordered if _LAST.fullmatch(_stem(Path(one.path).name))}
    moments = {(one.epoch, one.step) for one in ordered if one.path not in lasts}
    return [one for one in ordered if one.path not in lasts or (one.epoch, one.step) not in moments]


def _misplaced(
    one: Checkpoint, ordered: Sequence[Checkpoint], last: tuple[int, int | None] | None
) -> str:
    """Return why a checkpoint cannot follow those before it; empty if it can."""
    for other in ordered[-1:]:
        if _same(one, other.epoch, other.step):
            return f"it is of epoch {one.epoch}, and so is {other.path}: give one of them"
    steps = [other for other in ordered if other.step is not None]
    if one.step is not None and steps and one.step < (steps[-1].step or 0):
        return (
            f"it is of epoch {one.epoch} and step {one.step}, and {steps[-1].path} of epoch "
            f"{steps[-1].epoch} has step {steps[-1].step} already: are they of one training?"
        )
    if last is not None and (one.epoch, one.step or 0) < (last[0], last[1] or 0):
        return (
            f"it is of epoch {one.epoch}, and the recording goes to epoch {last[0]} already: "
            "overwrite=True replays all checkpoints"
        )
    return ""


def _same(one: Checkpoint, epoch: int, step: int | None) -> bool:
    return one.epoch == epoch and (one.step == step or None in (one.step, step))


def _expanded(path: str, any_suffix: bool) -> list[str]:
    if os.path.isdir(path):
        inside = [
            os.path.join(path, name) for name in os.listdir(path) if not name.startswith(".")
        ]  # fmt: skip
        wanted = [one for one in inside if any_suffix or one.lower().endswith(SUFFIXES)]
        if not wanted:
            raise CheckpointError(
                f"checkpoints={path!r}: the folder holds no {', '.join(SUFFIXES[:-1])} or "
                f"{SUFFIXES[-1]} file (load= reads others)"
            )
        return wanted
    if os.path.exists(path) or not glob.has_magic(path):
        return [path]
    matches = glob.glob(path, recursive=True)
    if not matches:
        raise CheckpointError(f"checkpoints={path!r}: no file matches")
    return matches


def _path(path: Any) -> str:
    if isinstance(path, bytes) or not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"checkpoints: got {path!r}, expected a path, a glob, a folder, a list of paths, or a "
            "mapping {epoch: path}"
        )
    return os.fspath(path)


def _given_epoch(epoch: Any) -> int:
    if isinstance(epoch, bool) or not hasattr(epoch, "__index__"):
        raise TypeError(f"checkpoints: the epoch {epoch!r} is no whole number")
    if epoch < 0:
        raise ValueError(f"checkpoints: the epoch {epoch} is negative: 0 is before training")
    return int(epoch)


def _stem(name: str) -> str:
    for suffix in (".weights.h5", *SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
