"""Show the films and stills of the gallery's examples, with players and thumbnails.

sphinx-gallery calls :func:`scrape` after each block of an example. Where the last expression of a
block is a film, the page shows it as a video and, unfolded, in the player. Its last epoch, or the
one that the example names by ``# sphinx_gallery_thumbnail_epoch = 20``, becomes the thumbnail,
unless an earlier block has a still.
"""

from __future__ import annotations

import ast
import io
import os
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, ImageChops
from sphinx.errors import ExtensionError
from sphinx_gallery.scrapers import figure_rst

import trainviz as tv

Film = tv.Animation | tv.Comparison

MADE = Path("_static", "made", "gallery")
MOST_BYTES = 1_500_000
THUMBNAIL = {
    "figsize": (4.0, 2.8), "dpi": 150, "axes": False, "legend": False, "counter": False,
    "metrics": False, "margin": 0.0,
}  # fmt: skip

SHOWN = """
.. raw:: html

    <video src="{address}.mp4" controls loop muted autoplay playsinline
      style="max-width: 100%" aria-label="Film: {title}"></video>
    <script>
      if (matchMedia("(prefers-reduced-motion: reduce)").matches)
        document.currentScript.previousElementSibling.autoplay = false;
    </script>
    <details>
      <summary>Explore it in the player: hover, pin places, switch modes</summary>
      <iframe src="{address}.html" title="Player: {title}" loading="lazy"
        style="width: 100%; height: 820px; border: 1px solid #8884"></iframe>
      <p><a href="{address}.html">The player as a page of its own</a>, which works offline</p>
    </details>

"""


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Return the reST that shows the film or still in which a block ends; else an empty text.

    Parameters
    ----------
    block : tuple
        Its second entry is the code.
    block_vars : dict
        sphinx-gallery's ``example_globals``, ``image_path_iterator``, ``target_file``, ...
    gallery_conf : dict

    Returns
    -------
    str

    Raises
    ------
    ExtensionError
        If the video or the player is larger than 1.5 MB.
    """
    value = block_vars["example_globals"].get("___")
    if not ends_in_expression(block[1]):
        return ""
    if isinstance(value, Figure):
        # A still, which the backend of a build does not hand to pyplot.
        picture = next(block_vars["image_path_iterator"])
        value.savefig(picture)
        return figure_rst([picture], gallery_conf["src_dir"])
    if isinstance(value, Film):
        return show_film(value, block_vars, gallery_conf)
    return ""


def show_film(film: Film, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Write a film's video, player and thumbnail, and return the reST that shows them."""
    picture = next(block_vars["image_path_iterator"])
    draw_thumbnail(film, picture, block_vars["file_conf"].get("thumbnail_epoch", -1))

    source, page = Path(gallery_conf["src_dir"]), Path(block_vars["target_file"])
    made = source / MADE / page.stem
    made.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".mp4", ".html"):
        size = film.save(made.with_suffix(suffix), progress=False).stat().st_size
        if size > MOST_BYTES:
            raise ExtensionError(
                f"{page.name}: {made.name}{suffix} has {size / 1e6:.1f} MB, but "
                f"{MOST_BYTES / 1e6:.1f} are the most: record fewer snapshots (every=) or a "
                "coarser grid (resolution=)"
            )
    return SHOWN.format(
        address=Path(os.path.relpath(made, page.parent)).as_posix(),
        title=page.stem.removeprefix("plot_").replace("_", " "),
    )


def ends_in_expression(code: str) -> bool:
    """Return whether the last statement has a value, which sphinx-gallery calls ``___``."""
    body = ast.parse(code).body
    return bool(body) and isinstance(body[-1], ast.Expr)


def draw_thumbnail(film: Film, path: str | Path, epoch: float = -1) -> None:
    """Draw the maps and points of one epoch, without what surrounds them."""
    small: Film
    if isinstance(film, tv.Comparison):
        blank = [" "] * len(film.recordings)
        options = dict(THUMBNAIL)
        if len(blank) == 4:
            # Two rows, as wide as their maps are.
            options |= {
                "columns": 2,
                "figsize": (2.8 * (film.recordings[0].domain.ratio or 1), 2.8),
            }
        small = tv.compare(film.recordings, labels=blank, by=film.by, **options)
    else:
        small = tv.animate(film.recording, mode=film.mode, **THUMBNAIL)
    drawn = io.BytesIO()
    small.still(drawn, epoch, format="png")
    picture = Image.open(drawn).convert("RGB")
    # sphinx-gallery fills what is left of a thumbnail's place with nothing, not with white.
    empty = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    if picture.getpixel((0, 0)) == (255, 255, 255):
        picture = picture.crop(ImageChops.difference(picture, empty).getbbox())
    picture.save(path)
