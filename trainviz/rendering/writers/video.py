"""MP4 and WebM, by moviepy and the ffmpeg that it installs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from trainviz.errors import WriterError
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.prefetch import painted

__all__ = ["write_mp4", "write_webm"]

_BT709 = [
    "-vf", "scale=out_color_matrix=bt709:out_range=tv,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv",
]  # fmt: skip
"""Unless matrix, primaries and transfer are all set, a browser guesses them from the
picture's size, and colours shift. A filter sets them, since ffmpeg's output options of these
names are overridden by the metadata of the frames."""


_PIPE_BYTES = 1 << 20
"""The default limit on Linux for unprivileged processes."""


def write_mp4(
    path: Path,
    film: FrameSource,
    *,
    codec: str = "libx264",
    preset: str = "veryfast",
    crf: int | None = 18,
    bitrate: str | None = None,
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
    bitrate : str, optional
        E.g. ``"2000k"``; replaces ``crf``.
    threads : int, optional
        Of the encoder.
    ffmpeg_params : sequence of str, optional
        Passed to ffmpeg.
    """
    params = ["-crf", str(crf)] if crf is not None and bitrate is None else []
    params += [*_BT709, "-movflags", "+faststart", *ffmpeg_params]
    _encode(path, film, codec, preset, bitrate, threads, params)


def write_webm(
    path: Path,
    film: FrameSource,
    *,
    codec: str = "libvpx-vp9",
    crf: int | None = 28,
    bitrate: str | None = None,
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
    params += ["-pix_fmt", "yuv420p", *_BT709, *ffmpeg_params]
    _encode(path, film, codec, "medium", bitrate, threads, params)


def _encode(
    path: Path,
    film: FrameSource,
    codec: str,
    preset: str,
    bitrate: str | None,
    threads: int | None,
    params: list[str],
) -> None:
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

    height, width = film.shape
    # An absolute path, since ffmpeg takes text before a colon for a protocol if no slash precedes.
    process: Any = FFMPEG_VideoWriter(
        str(path.absolute()), (width, height), film.fps, codec=codec, preset=preset,
        bitrate=bitrate, threads=threads, ffmpeg_params=params,
    ).proc  # fmt: skip
    _widen(process.stdin)
    try:
        with painted(film) as frames:
            for frame in frames:
                # If the encoder has ended, its stderr says why, unlike the broken pipe. Only the
                # write is in the try block, as an OSError of the painting is no encoder failure.
                try:
                    process.stdin.write(np.ascontiguousarray(frame).data)
                except OSError:
                    break
        # A full disk is reported only when the encoder ends.
        _, errors = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip() or _end_of(process.returncode)
        raise WriterError(f"the encoder {codec!r} failed on {path.suffix}: {words}")


def _widen(pipe: Any) -> None:
    """Enlarge a pipe's buffer, so that the encoder is not woken for each small part of a frame."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _end_of(status: int) -> str:
    # Popen's return code is negative if a signal ended the process.
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
