"""Which recordings can be laid over one another, and which hold classes at all."""

from __future__ import annotations

from collections.abc import Sequence

from trainviz.errors import RecordingError
from trainviz.recordings.recording import Recording

__all__ = ["check_comparable", "named", "require_classes"]


def check_comparable(recordings: Sequence[Recording], names: Sequence[str]) -> None:
    """Refuse runs that cannot be laid over one another.

    Parameters
    ----------
    recordings : sequence of Recording
    names : sequence of str
        One each, for messages.

    Raises
    ------
    TypeError
        If one is no recording.
    RecordingError
        If one is empty, or domains, what maps hold, numbers of classes or class
        names differ.
    """
    for recording, name in zip(recordings, names, strict=True):
        if not isinstance(recording, Recording):
            raise TypeError(
                f"{name} is a {type(recording).__name__}: expected a Recording, which a recorder "
                "has as its attribute .recording"
            )
        if not len(recording):
            raise RecordingError(f"{name} is empty: nothing has been captured in it")
    first = recordings[0]
    for recording, name in zip(recordings[1:], names[1:], strict=True):
        if not recording.domain.matches(first.domain):
            raise RecordingError(
                f"{name} was recorded on {recording.domain!r}, and {names[0]} on "
                f"{first.domain!r}{_beyond_repr(first, recording)}: only maps of the same points "
                "can be compared; give every recorder the same domain"
            )
        if recording.output != first.output:
            raise RecordingError(
                f"{name} holds {recording.output}, and {names[0]} {first.output}: only models of "
                "one kind can be compared"
            )
        if recording.n_classes != first.n_classes:
            raise RecordingError(
                f"{name} has {recording.n_classes} classes, and {names[0]} has "
                f"{first.n_classes}: only models of the same classes can be compared"
            )
    _check_names(recordings, names)


def require_classes(recordings: Sequence[Recording], what: str) -> None:
    """Refuse recordings of anything but class probabilities.

    Raises
    ------
    RecordingError
        Names ``what`` needs the classes.
    """
    for recording in recordings:
        if recording.output != "probabilities":
            raise RecordingError(
                f"{what} is about classes that exclude one another, and the recording holds "
                f"{recording.output}; take a recording of class probabilities"
            )


def named(recordings: Sequence[Recording]) -> Recording:
    """Return the run that a legend is made of: with names if any has, and with data if one has."""
    return min(recordings, key=lambda run: (_is_numbered(run), run.data is None))


def _check_names(recordings: Sequence[Recording], names: Sequence[str]) -> None:
    # A run without names may be compared with one that has some.
    told = [(run.class_names, name) for run, name in zip(recordings, names, strict=True)
            if not _is_numbered(run)]  # fmt: skip
    for classes, name in told[1:]:
        if classes != told[0][0]:
            raise RecordingError(
                f"{name} has the classes {classes}, and {told[0][1]} has {told[0][0]}: the "
                "columns mean different things; record both with the same class_names= and classes="
            )


def _is_numbered(recording: Recording) -> bool:
    return recording.class_names == [str(index) for index in range(recording.n_classes)]


def _beyond_repr(first: Recording, other: Recording) -> str:
    return ", through another part of the input" if repr(first.domain) == repr(other.domain) else ""
