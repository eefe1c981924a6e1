"""Write frames to a file: the format is chosen by the suffix. Internal.

Every writer writes to a temporary file in the same folder, which is renamed
when it is complete, so that an interrupted ``save`` leaves no incomplete film.
"""

from __future__ import annotations

import glob
import io
import os
import re
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from trainviz._common.arrays import Image
from trainviz._common.process import hidden, mark, mark_of_dead
from trainviz._common.progress import progress_bar
from trainviz._common.providers import PROVIDERS, provided

__all__ = [
    "FILM_SUFFIXES",
    "STILL_SUFFIXES",
    "FrameSource",
    "OpenFile",
    "check_path",
    "check_target",
    "finished_file",
    "save_figure",
    "still_target",
    "write_film",
]

FILM_SUFFIXES = tuple(name[len("film") :] for name in PROVIDERS if name.startswith("film."))
STILL_SUFFIXES = (".png", ".svg", ".pdf", ".pgf")

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class FrameSource:
    """What a writer needs to know about a film.

    Attributes
    ----------
    frames : callable
        ``indices -> iterator`` of the ``(height, width, 3)`` uint8 frames with
        these indices, which must ascend.
    n_frames : int
    shape : tuple of int
        ``(height, width)``.
    fps : float
        Frames a second.
    title : str
    colors : callable
        Returns the colours of frames, repeated by importance: ndarray of uint8,
        shape (n, 3); or None if they are not known.
    told : callable
        ``(index, n_frames)``, called for each frame when it is written or skipped.
    chapters : sequence of (int, str)
        The first frame of each, ascending from 0, and its name.
    """

    frames: Callable[[Sequence[int]], Iterator[Image]]
    n_frames: int
    shape: tuple[int, int]
    fps: float
    title: str = ""
    colors: Callable[[], Image | None] = lambda: None
    told: Callable[[int, int], Any] = lambda index, n_frames: None
    chapters: Sequence[tuple[int, str]] = ()


def write_film(
    path: str | os.PathLike[str], film: FrameSource, *, progress: bool | None = None, **options: Any
) -> Path:
    """Write a film in the format of its suffix.

    Parameters
    ----------
    path : path-like
        Ends in one of ``FILM_SUFFIXES``.
    film : FrameSource
    progress : bool, optional
        Show a progress bar; default: if standard error is a terminal.
    **options
        Of the format's writer.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the suffix is unknown or the folder does not exist.
    WriterError
        If the encoder fails. No file is left under ``path``, and one that was
        there before is untouched.
    """
    target = check_path(path, FILM_SUFFIXES)
    write = provided(f"film{target.suffix.lower()}")
    with finished_file(target) as unfinished, _watched(film, target, progress) as watched:
        write(unfinished, watched, **options)
    return target


def check_path(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> Path:
    """Return ``path`` if a file of one of these formats can be written there.

    Raises
    ------
    ValueError
        If the suffix is not one of ``suffixes``, the folder does not exist, or the
        path is a folder.

    Examples
    --------
    >>> check_path("film.avi", (".mp4", ".gif"))
    Traceback (most recent call last):
        ...
    ValueError: the path 'film.avi' ends in '.avi'; expected one of .mp4 .gif
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in suffixes:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no suffix"
        raise ValueError(f"the path {str(path)!r} {ending}; expected one of {' '.join(suffixes)}")
    if not target.parent.is_dir():
        raise ValueError(
            f"the path {str(path)!r}: the folder {str(target.parent)!r} does not exist; "
            "make it first"
        )
    if target.is_dir():
        raise ValueError(f"the path {str(path)!r} is a folder; expected a file in it")
    return target


class OpenFile(NamedTuple):
    """A binary file object to write to, and the suffix of its format."""

    file: IO[bytes]
    suffix: str


def check_target(
    path: str | os.PathLike[str] | IO[bytes], format: str | None, suffixes: tuple[str, ...]
) -> Path | OpenFile:
    """Return a path as :func:`check_path` does, or a file object with the suffix of its format.

    Raises
    ------
    TypeError
        If a file object is open for text.
    ValueError
        As :func:`check_path`; also if the format of a file object is missing or
        unknown, or is another than that of the path.

    Examples
    --------
    >>> check_target(io.BytesIO(), "gif", (".mp4", ".gif")).suffix
    '.gif'
    """
    known = ", ".join(repr(suffix[1:]) for suffix in suffixes)
    if format is not None and f".{format}".lower() not in suffixes:
        raise ValueError(f"format={format!r}: expected one of {known}")
    if not hasattr(path, "write"):
        target = check_path(path, suffixes)
        if format is not None and target.suffix.lower() != f".{format}".lower():
            raise ValueError(
                f"format={format!r}, but the path {str(path)!r} ends in {target.suffix!r}: leave "
                "format= out, which only a file object needs"
            )
        return target
    if format is None:
        raise ValueError(f"a file object has no suffix: give format=, one of {known}")
    if isinstance(path, io.TextIOBase):
        raise TypeError("the file object is open for text; expected one for bytes, open(..., 'wb')")
    return OpenFile(cast(IO[bytes], path), f".{format}".lower())


@contextmanager
def finished_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``target``, and rename it to that on success.

    What a killed process has left of the same file is removed.

    Yields
    ------
    Path
        With the same suffix; removed if the block raises.
    """
    for left in target.parent.glob(f"{glob.escape(hidden(target.stem))}.*{target.suffix}"):
        if mark_of_dead(left.name):
            left.unlink(missing_ok=True)
    token = secrets.token_hex(4)
    unfinished = target.with_name(f"{hidden(target.stem)}.{token}.{mark()}{target.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def still_target(
    path: str | os.PathLike[str] | IO[bytes] | None, format: str | None
) -> Path | OpenFile | None:
    """Return where a picture is to be written, checked; None if it is not to be saved.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_target`.
    """
    if path is None and format is not None:
        raise ValueError(f"format={format!r}, but there is no file to write: give path=")
    return None if path is None else check_target(path, format, STILL_SUFFIXES)


def save_figure(figure: Any, target: Path | OpenFile | None) -> None:
    """Write a still, unless ``target`` is None."""
    if target is None:
        return
    from matplotlib import rc_context

    # Text is stored as text, so that it can be searched and edited; and the page has the size of
    # the figure, whatever the user's settings of savefig say.
    settings = {
        "svg.fonttype": "none", "pdf.fonttype": 42,
        "savefig.bbox": None, "savefig.transparent": False,
    }  # fmt: skip
    _replace_control_characters(figure)
    if target.suffix.lower() == ".pgf":
        if isinstance(target, OpenFile):
            raise ValueError(
                "format='pgf': its pictures are files beside it; give a path instead of a file "
                "object, or format='pdf'"
            )
        provided("still.pgf")(figure, target)
        return
    # Into memory first: where the disk is full, Matplotlib's PDF fails with an AttributeError.
    picture = io.BytesIO()
    with rc_context(settings), warnings.catch_warnings():
        # Whoever made the figure has warned of all of them at once.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            picture, format=target.suffix[1:].lower(), dpi=figure.dpi,
            facecolor=figure.get_facecolor(),
        )  # fmt: skip
    if isinstance(target, OpenFile):
        target.file.write(picture.getvalue())
        return
    with finished_file(target) as unfinished:
        unfinished.write_bytes(picture.getbuffer())


def _replace_control_characters(figure: Any) -> None:
    """Replace what no XML may hold, such as a control character of a stranger's class name."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        found = text.get_text()
        clean = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", found)
        if clean != found:
            text.set_text(clean)


@contextmanager
def _watched(film: FrameSource, target: Path, progress: bool | None) -> Iterator[FrameSource]:
    with progress_bar(target.name, "frame", film.n_frames, shown=progress) as advance:

        def told(index: int, n_frames: int) -> None:
            film.told(index, n_frames)
            advance()

        yield replace(film, told=told)
