"""MP4 and WebM, by the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from trainviz._common.arrays import Image
from trainviz._common.checks import check_list, check_number, check_text, check_whole
from trainviz._common.jit import ready
from trainviz.errors import WriterError
from trainviz.rendering.kernels import to_planes
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.prefetch import painted

__all__ = ["write_mp4", "write_webm"]

_BT709 = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
"""Unless matrix, primaries and transfer are all set, a browser guesses them from the
picture's size, and colours shift. A filter sets them, since ffmpeg's output options of these
names are overridden by the metadata of the frames."""


_TO_BT709 = "scale=out_color_matrix=bt709:out_range=tv"

_PLANAR = frozenset({"libx264", "libx265", "libvpx-vp9", "libvpx"})
"""Encoders that take YUV 4:2:0, which is made here from the pixels that have changed alone."""

_PIPE_BYTES = 1 << 20
"""The default limit on Linux for unprivileged processes."""


def write_mp4(
    path: Path,
    film: FrameSource,
    *,
    codec: str = "libx264",
    preset: str = "veryfast",
    crf: int | None = 18,
    bitrate: str | int | None = None,
    threads: int | None = None,
    ffmpeg_params: Sequence[str] = (),
) -> None:
    """Write an MP4 that plays everywhere (H.264, 4:2:0, index at the front).

    Parameters
    ----------
    path : Path
    film : FrameSource
    codec : str, default "libx264"
        An encoder of the installed ffmpeg.
    preset : str, default "veryfast"
        x264's trade-off of time and size: "ultrafast" to "veryslow". Maps are so
        smooth that "medium" takes twice the time and makes films no smaller.
    crf : int or None, default 18
        Constant quality, 0 (lossless) to 51; None to use ``bitrate``.
    bitrate : str or int, optional
        In bits a second, e.g. ``"2000k"``; replaces ``crf``.
    threads : int, optional
        Of the encoder.
    ffmpeg_params : sequence of str, optional
        Passed to ffmpeg.
    """
    check_text("preset", preset)
    params = ["-crf", str(crf)] if crf is not None and bitrate is None else []
    params += ["-preset", preset, "-movflags", "+faststart"]
    _encode(path, film, codec, crf, bitrate, threads, params, ffmpeg_params)


def write_webm(
    path: Path,
    film: FrameSource,
    *,
    codec: str = "libvpx-vp9",
    crf: int | None = 28,
    bitrate: str | int | None = None,
    threads: int | None = 2,
    ffmpeg_params: Sequence[str] = (),
) -> None:
    """Write a WebM (VP9, 4:2:0).

    Parameters
    ----------
    path, film, codec, crf, bitrate, threads, ffmpeg_params
        As for :func:`write_mp4`; ``crf`` runs from 0 to 63.
    """
    constant = ["-crf", str(crf), "-b:v", "0"] if crf is not None and bitrate is None else []
    params = [*constant, "-deadline", "good", "-cpu-used", "5", "-row-mt", "1"]
    _encode(path, film, codec, crf, bitrate, threads, params, ffmpeg_params)


def _binary() -> str:
    """Return the ffmpeg that ``FFMPEG_BINARY`` names, as for moviepy, else the one of imageio."""
    named = os.environ.get("FFMPEG_BINARY", "")
    if named not in ("", "ffmpeg-imageio", "auto-detect"):
        return named
    from imageio_ffmpeg import get_ffmpeg_exe

    found: str = get_ffmpeg_exe()
    return found


@contextmanager
def _chapter_options(film: FrameSource) -> Iterator[list[str]]:
    """Write a film's chapters for ffmpeg, and yield what makes it read them."""
    if not film.chapters:
        yield []
        return
    starts = [round(1000 * frame / film.fps) for frame, _ in film.chapters]
    ends = [*starts[1:], round(1000 * film.n_frames / film.fps)]
    parts = [";FFMETADATA1\n"]
    for (_, name), start, end in zip(film.chapters, starts, ends, strict=True):
        escaped = re.sub(r"([=;#\\\n])", r"\\\1", name)
        parts.append(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={escaped}\n")
    # Not beside the film, where a killed process would leave it.
    with TemporaryDirectory() as folder:
        metadata = Path(folder, "chapters.txt")
        metadata.write_text("".join(parts), encoding="utf-8")
        yield ["-f", "ffmetadata", "-i", str(metadata), "-map", "0:v", "-map_chapters", "1"]


def _encode(
    path: Path,
    film: FrameSource,
    codec: str,
    crf: float | None,
    bitrate: str | int | None,
    threads: int | None,
    params: list[str],
    ffmpeg_params: Sequence[str],
) -> None:
    check_text("codec", codec)
    if crf is not None:
        check_number("crf", crf, 0, 63)
    check_list("ffmpeg_params", ffmpeg_params, "arguments, e.g. ['-tune', 'animation']")
    if threads is not None:
        check_whole("threads", threads, 0, 1024)
    height, width = film.shape
    # Other encoders and pixel formats may keep more colours than 4:2:0 does.
    planar = codec in _PLANAR and "-pix_fmt" not in ffmpeg_params
    pack: Callable[[Image], Any] = _Planes(film.shape) if planar else np.ascontiguousarray
    with _chapter_options(film) as chapters:
        status, errors = _run([
            _binary(), "-y", "-loglevel", "error",
            "-f", "rawvideo", "-s", f"{width}x{height}",
            "-pix_fmt", "yuv420p" if planar else "rgb24",
            "-r", f"{film.fps:.02f}", "-an", "-i", "-", *chapters,
            "-c:v", codec, *params,
            *(["-pix_fmt", "yuv420p"] if codec in (*_PLANAR, "h264_nvenc") else []),
            "-vf", _BT709 if planar else f"{_TO_BT709},{_BT709}",
            *(["-b:v", str(bitrate)] if bitrate is not None else []),
            *(["-threads", str(threads)] if threads is not None else []),
            # An absolute path, since ffmpeg takes what precedes a colon for a protocol.
            *ffmpeg_params, str(path.absolute()),
        ], film, pack)  # fmt: skip
    if status != 0:
        words = errors.decode(errors="replace").strip() or _end_of(status)
        raise WriterError(f"the encoder {codec!r} failed on {path.suffix}: {words}")


def _run(command: list[str], film: FrameSource, pack: Callable[[Image], Any]) -> tuple[int, bytes]:
    """Feed a film's frames to an encoder; return its exit status and what it wrote to stderr."""
    process: Any = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )  # fmt: skip
    _widen(process.stdin)
    try:
        with painted(film) as frames:
            for frame in frames:
                # If the encoder has ended, its stderr says why, unlike the broken pipe. Only the
                # write is in the try block, as an OSError of the painting is no encoder failure.
                try:
                    process.stdin.write(pack(frame).data)
                except OSError:
                    break
        # A full disk is reported only when the encoder ends.
        _, errors = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process.returncode, errors


class _Planes:
    """Frames as YUV 4:2:0, one plane after another; only what has changed is converted."""

    def __init__(self, shape: tuple[int, int]) -> None:
        height, width = shape
        n_pixels = height * width
        self._planes = np.empty(n_pixels * 3 // 2, dtype=np.uint8)
        quarters = self._planes[n_pixels:].reshape(2, height // 2, width // 2)
        self._parts = self._planes[:n_pixels].reshape(shape), quarters[0], quarters[1]
        self._before: Image | None = None

    def __call__(self, frame: Image) -> Image:
        """Return the planes of a frame, shape (n,); the next call overwrites them."""
        frame = ready(frame, np.uint8)
        if self._before is None:
            self._before = np.invert(frame)
        to_planes(frame, self._before, *self._parts)
        return self._planes


def _widen(pipe: Any) -> None:
    """Enlarge a pipe's buffer, so that the encoder is not woken for each small part of a frame."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _end_of(status: int) -> str:
    # Popen's return code is negative if a signal ended the process.
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
