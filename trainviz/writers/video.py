"""MP4 and WebM, through moviepy and the ffmpeg that it brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainviz.errors import WriterError
from trainviz.writers import Film

__all__ = ["write_mp4", "write_webm"]

_BT709 = [
    "-vf", "scale=out_color_matrix=bt709:out_range=tv",
    "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
    "-color_range", "tv",
]  # fmt: skip
"""Without a stated matrix each player guesses one by the picture's size, and colours shift."""


def write_mp4(
    path: Path,
    film: Film,
    *,
    codec: str = "libx264",
    preset: str = "medium",
    crf: int | None = 18,
    bitrate: str | None = None,
    threads: int | None = None,
    ffmpeg_params: Sequence[str] = (),
) -> None:
    """Write an MP4 that plays everywhere (H.264, 4:2:0, index at the front).

    Parameters
    ----------
    path : Path
    film : Film
    codec : str, default "libx264"
        An encoder of the installed ffmpeg.
    preset : str, default "medium"
        x264's trade of time for size: "ultrafast" to "veryslow".
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
    with _encoder(path, film, codec, preset, bitrate, threads, params) as encoder:
        for frame in film.frames():
            encoder.write_frame(frame)


def write_webm(
    path: Path,
    film: Film,
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
    with _encoder(path, film, codec, "medium", bitrate, threads, params) as encoder:
        for frame in film.frames():
            encoder.write_frame(frame)


@contextmanager
def _encoder(
    path: Path,
    film: Film,
    codec: str,
    preset: str,
    bitrate: str | None,
    threads: int | None,
    params: list[str],
) -> Iterator[Any]:
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

    height, width = film.shape
    encoder = FFMPEG_VideoWriter(
        str(path), (width, height), film.fps, codec=codec, preset=preset, bitrate=bitrate,
        threads=threads, ffmpeg_params=params,
    )  # fmt: skip
    process = encoder.proc
    try:
        yield encoder
        process.stdin.close()
        last_words = process.stderr.read().decode(errors="replace").strip()
        # moviepy does not ask how the encoder ended; a full disk shows only here.
        if process.wait() != 0:
            raise WriterError(f"the encoder {codec!r} failed on {path.suffix}: {last_words}")
    except OSError as error:
        raise WriterError(f"the encoder {codec!r} stopped mid-film: {error}") from error
    except BaseException:
        process.kill()
        raise
    finally:
        encoder.close()
