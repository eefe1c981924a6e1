"""A self-contained HTML page, and the ``<video>`` element that Jupyter shows."""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path

from trainviz._common.checks import check_switch
from trainviz.rendering.writers import FrameSource
from trainviz.rendering.writers.video import write_mp4

__all__ = ["video_element", "write_html"]

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: #101216; }}
  video {{ max-width: 100vw; max-height: 100vh; }}
</style>
{video}
</html>
"""


def write_html(path: Path, film: FrameSource, *, loop: bool = True, autoplay: bool = True) -> None:
    """Write an HTML page with the film embedded, which needs no other file.

    Parameters
    ----------
    path : Path
    film : FrameSource
    loop, autoplay : bool, default True
    """
    check_switch("loop", loop)
    check_switch("autoplay", autoplay)
    title = html.escape(film.title or "trainviz")
    page = _PAGE.format(title=title, video=video_element(film, loop=loop, autoplay=autoplay))
    path.write_text(page, encoding="utf-8")


def video_element(film: FrameSource, *, loop: bool = True, autoplay: bool = False) -> str:
    """Return the film as an HTML ``<video>`` element with embedded data.

    Parameters
    ----------
    film : FrameSource
    loop : bool, default True
    autoplay : bool, default False

    Returns
    -------
    str
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_mp4(path, film)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    flags = "".join([" loop" if loop else "", " autoplay" if autoplay else ""])
    height, width = film.shape
    return (
        f'<video width="{width}" height="{height}" controls muted playsinline{flags} '
        f'style="max-width: 100%; height: auto" src="data:video/mp4;base64,{data}">'
        "This browser cannot play MP4 films.</video>"
    )
