"""The base class of films: a lazy sequence of frames that can be saved."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, overload

from trainviz._common.arrays import Image
from trainviz._common.providers import provided
from trainviz.rendering.figure.options import check_fps
from trainviz.rendering.parallel import made_by_processes
from trainviz.rendering.story import Story
from trainviz.rendering.writers import (
    FILM_SUFFIXES,
    FrameSource,
    OpenFile,
    check_target,
    write_film,
)

__all__ = ["Film"]


class Film(ABC):
    """A sequence of frames (``len``, indexing, iteration) that is displayed in Jupyter.

    Attributes
    ----------
    fps : float
        Frames a second.
    """

    fps: float
    _story: Story | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of a frame in pixels."""

    @abstractmethod
    def _painter(self, *, reader: Executor | None = None) -> Callable[[int], Image]:
        """Return a function that makes frame ``index``; it is fastest for ascending indices.

        With a ``reader``, that one reads the next snapshot while a frame is painted.
        """

    def _title(self) -> str:
        return ""

    def _colors(self) -> Image | None:
        return None

    def _page(self) -> dict[str, Any] | None:
        """Return the arguments of the page that shows the film; None if it has no recording."""
        return None

    def __iter__(self) -> Iterator[Image]:
        return map(self._painter(), range(len(self)))

    def __getitem__(self, index: int) -> Image:
        return self._painter()(index)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / self.fps

    @overload
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        fps: float | None = None,
        progress: bool | None = None,
        jobs: int = 1,
        **options: Any,
    ) -> Path: ...
    @overload
    def save(
        self,
        path: IO[bytes],
        *,
        format: str,
        fps: float | None = None,
        progress: bool | None = None,
        jobs: int = 1,
        **options: Any,
    ) -> None: ...
    def save(
        self,
        path: str | os.PathLike[str] | IO[bytes],
        *,
        format: str | None = None,
        fps: float | None = None,
        progress: bool | None = None,
        jobs: int = 1,
        **options: Any,
    ) -> Path | None:
        """Write the film in the format of the path's suffix.

        Parameters
        ----------
        path : path-like or binary file object
            Ends in ``.mp4``, ``.webm``, ``.gif``, ``.apng``, ``.webp`` or ``.html``.
        format : str, optional
            Of a file object: ``"mp4"`` or another of the suffixes.
        fps : float, optional
            Default: that of the film.
        progress : bool, optional
            Show a progress bar; default: if standard error is a terminal.
        jobs : int, default 1
            How many processes make frames. One usually keeps the encoder of an
            MP4 busy; more are faster if frames are expensive (many classes,
            large maps or large pictures), on a machine with more than two cores.
        **options
            Options of the format: ``codec``, ``preset``, ``crf``, ``bitrate``,
            ``threads``, ``ffmpeg_params`` for videos; ``loop`` for GIF, APNG
            and WebP; ``max_bytes`` for GIF, the file's largest size: with fewer
            colours, then fewer frames, then fewer pixels, as a warning says;
            ``exact`` for APNG, False for one palette of 255
            colours; ``lossless`` and ``quality`` for WebP. An HTML file is an
            interactive page, with the options of :meth:`Recording.save_page`,
            such as ``limit`` and ``ask``; with ``player=False``, or in a mode
            that only Python can paint, it holds a video instead, with
            ``loop`` and ``autoplay``.

        Returns
        -------
        Path or None
            None for a file object.

        Raises
        ------
        ValueError
            If the suffix or format is unknown, the folder does not exist, ``fps``,
            ``jobs`` or ``max_bytes`` is not positive, or ``max_bytes`` is not for a GIF.
        TypeError
            If a file object is open for text.
        WriterError
            If the encoder or a process of ``jobs`` fails, or no GIF of the film has
            as little as ``max_bytes``; no incomplete file is left at ``path``.
        """
        target = check_target(path, format, FILM_SUFFIXES)
        if "max_bytes" in options and target.suffix.lower() != ".gif":
            raise ValueError(
                f"max_bytes={options['max_bytes']!r} is for .gif, but the film is to be a "
                f"{target.suffix}: give crf= or bitrate= for a video, quality= for .webp"
            )
        if isinstance(target, OpenFile):
            # Encoders seek and read what they have written, which a socket, say, cannot.
            with tempfile.TemporaryDirectory(prefix="trainviz-") as folder:
                whole = Path(folder, f"film{target.suffix}")
                self.save(whole, fps=fps, progress=progress, jobs=jobs, **options)
                with whole.open("rb") as written:
                    shutil.copyfileobj(written, target.file)
            return None
        film = self._film(fps)
        if target.suffix.lower() == ".html" and options.pop("player", True):
            page = self._page()
            if page is not None:
                page["seconds"] = self._playing / film.fps
                arguments = {**page, **options, "path": target, "progress": progress}
                saved: Path = provided("page")(**arguments)
                return saved
        with made_by_processes(film.frames, film.shape, jobs) as frames:
            return write_film(target, replace(film, frames=frames), progress=progress, **options)

    def to_clip(self) -> Any:
        """Return the film as a moviepy clip, to cut or compose it with others.

        Returns
        -------
        moviepy.VideoClip
        """
        from moviepy import VideoClip

        paint, last = self._painter(), len(self) - 1

        def frame_at(seconds: float) -> Image:
            # moviepy's times are multiples of 1/fps up to rounding errors.
            index = int(seconds * self.fps + 1e-6)
            return paint(min(index, last))

        # moviepy has int(duration * fps) frames, which loses the last one if duration is too small.
        seconds = math.nextafter(self.duration, math.inf)
        return VideoClip(frame_function=frame_at, duration=seconds).with_fps(self.fps)

    def to_html5_video(self) -> str:
        """Return the film as an HTML ``<video>`` element with embedded data.

        Returns
        -------
        str
        """
        from trainviz.rendering.writers.html import video_element

        return video_element(self._film(None))

    @cached_property
    def _html(self) -> str:
        return self.to_html5_video()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        # As the player, in a notebook with widgets; else Jupyter asks for _repr_html_.
        page = self._page()
        if page is None:
            return None
        return provided("notebook")(
            **page, seconds=self._playing / self.fps, still=getattr(self, "still", None)
        )

    def _repr_html_(self) -> str:
        return self._html

    def _repr_png_(self) -> bytes | None:
        # Beside the video, for a PDF of the notebook.
        still = getattr(self, "still", None)
        return None if still is None else provided("picture")(still)

    def _frames(self, indices: Sequence[int]) -> Iterator[Image]:
        with ThreadPoolExecutor(1, "trainviz-reader") as reader:
            yield from map(self._painter(reader=reader), indices)

    def _film(self, fps: float | None) -> FrameSource:
        fps = self.fps if fps is None else fps
        check_fps(fps)
        chapters = () if self._story is None else self._story.chapters
        return FrameSource(
            self._frames, len(self), self.shape, fps, self._title(), self._colors, chapters=chapters
        )

    @property
    def _playing(self) -> int:
        """The number of frames without the title card, which no page shows."""
        return len(self) - (0 if self._story is None else self._story.n_card)
