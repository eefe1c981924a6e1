"""MP4 and WebM, through moviepy and the ffmpeg that it brings."""

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
"""Unless matrix, primaries and transfer are all stated, a browser guesses them by the
picture's size, and colours shift. ffmpeg's output options of these names yield to what the
frames say, so a filter says it."""


_PIPE_BYTES = 1 << 20
"""As much as Linux grants to everyone."""


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
        x264's trade of time for size: "ultrafast" to "veryslow". Maps are smooth:
        "medium" takes twice the time and makes films no smaller.
    crf : int or None, default 18
        Constant quality, 0 (lossless) to 51; None where ``bitrate`` counts.
    bitrate : str, optional
        E.g. ``"2000k"``; replaces ``crf``.
    threads : int, optional
        Of the encoder.
    ffmpeg_params : sequence of str, optional
        Handed on to ffmpeg.
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
    # ffmpeg takes what stands before a colon for a protocol, unless a slash comes first.
    process: Any = FFMPEG_VideoWriter(
        str(path.absolute()), (width, height), film.fps, codec=codec, preset=preset,
        bitrate=bitrate, threads=threads, ffmpeg_params=params,
    ).proc  # fmt: skip
    _widen(process.stdin)
    try:
        with painted(film) as frames:
            for frame in frames:
                # An encoder that has ended tells why on its error stream, the broken pipe does
                # not; an OSError of the frames themselves is none of the encoder's.
                try:
                    process.stdin.write(np.ascontiguousarray(frame).data)
                except OSError:
                    break
        # Only now does a full disk show.
        _, errors = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip() or _end_of(process.returncode)
        raise WriterError(f"the encoder {codec!r} failed on {path.suffix}: {words}")


def _widen(pipe: Any) -> None:
    """Let a pipe hold a whole frame, so that the encoder is not woken for each part of it."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _end_of(status: int) -> str:
    # Popen's way to say that a signal ended the process.
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
