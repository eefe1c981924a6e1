"""Checks whether recordings can be compared, and whether they hold class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trainviz._common.output_kind import OutputKind
from trainviz.domain.domain import Domain
from trainviz.errors import RecordingError
from trainviz.recordings.recording import Recording

__all__ = ["check_comparable", "check_matching", "mismatch", "named", "require_classes"]


class Recorded(Protocol):
    """The attributes that a recording and the description of a stored one share."""

    @property
    def domain(self) -> Domain:
        """Where the model was evaluated."""
        ...

    @property
    def output(self) -> OutputKind:
        """What the maps hold."""
        ...


def mismatch(
    first: Recorded, other: Recorded, names: tuple[str, str], *, beside: bool = False
) -> str | None:
    """Return why maps of two show different points or quantities; None if they do not.

    With ``beside``, slices of a table may differ in their fixed values.
    """
    a, b = names
    same_window = beside and other.domain.is_beside(first.domain)
    if not same_window and not other.domain.matches(first.domain):
        same = repr(first.domain) == repr(other.domain)
        beyond = ", through another part of the input" if same else ""
        return f"{b} was recorded on {other.domain!r}, and {a} on {first.domain!r}{beyond}"
    if other.output != first.output:
        return f"{b} holds {other.output}, and {a} {first.output}"
    return None


def check_matching(
    recordings: Sequence[Recording], names: Sequence[str], *, beside: bool = False
) -> None:
    """Raise for recordings whose maps show different points, quantities or classes.

    Parameters
    ----------
    recordings : sequence of Recording
        Each with a snapshot at least.
    names : sequence of str
        One per recording, for messages.
    beside : bool, default False
        Whether slices of a table may differ in the values of the columns that are fixed.

    Raises
    ------
    RecordingError
        If domains, what maps hold, numbers of classes or class names differ. A
        recording without class names matches one that has some.
    """
    first = recordings[0]
    for recording, name in zip(recordings[1:], names[1:], strict=True):
        found = mismatch(first, recording, (names[0], name), beside=beside)
        if found is not None:
            raise RecordingError(
                f"{found}: only maps of the same points and of one kind can be compared; give "
                "every recorder the same domain"
            )
        if recording.n_classes != first.n_classes:
            raise RecordingError(
                f"{name} has {recording.n_classes} classes, and {names[0]} has "
                f"{first.n_classes}: only models of the same classes can be compared"
            )
    told = [(run.class_names, name) for run, name in zip(recordings, names, strict=True)
            if not _is_numbered(run)]  # fmt: skip
    for classes, name in told[1:]:
        if classes != told[0][0]:
            raise RecordingError(
                f"{name} has the classes {classes}, and {told[0][1]} has {told[0][0]}: the "
                "columns mean different things; record both with the same class_names= and classes="
            )


def check_comparable(
    recordings: Sequence[Recording], names: Sequence[str], *, beside: bool = False
) -> None:
    """Raise for recordings that are empty or cannot be compared.

    Parameters
    ----------
    recordings : sequence of Recording
    names : sequence of str
        One per recording, for messages.
    beside : bool, default False
        As for :func:`check_matching`.

    Raises
    ------
    TypeError
        If one is no recording.
    RecordingError
        If one is empty, or they do not match.
    """
    for recording, name in zip(recordings, names, strict=True):
        if not isinstance(recording, Recording):
            raise TypeError(
                f"{name} is a {type(recording).__name__}: expected a Recording, which a recorder "
                "has as its attribute .recording"
            )
        if not len(recording):
            raise RecordingError(f"{name} is empty: nothing has been captured in it")
    check_matching(recordings, names, beside=beside)


def require_classes(recordings: Sequence[Recording], what: str) -> None:
    """Raise for recordings of anything but class probabilities.

    Raises
    ------
    RecordingError
        The message begins with ``what``, which needs the classes.
    """
    for recording in recordings:
        if not recording.output.has_classes:
            raise RecordingError(
                f"{what} is about classes that exclude one another, and the recording holds "
                f"{recording.output}; take a recording of class probabilities"
            )


def named(recordings: Sequence[Recording]) -> Recording:
    """Return the run to take the legend from: one with class names, then one with data."""
    return min(recordings, key=lambda run: (_is_numbered(run), run.data is None))


def _is_numbered(recording: Recording) -> bool:
    return recording.class_names == [str(index) for index in range(recording.n_classes)]
