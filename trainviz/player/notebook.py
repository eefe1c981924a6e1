"""Show recordings and films in notebooks: the player, and a copy of it that a saved file keeps."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from trainviz._common.providers import install_hint
from trainviz.player.page import page_of
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.rendering.animation import animate

__all__ = ["mimebundle", "picture_of", "picture_of_last", "saved_copy", "widget_of"]

_BUDGET = 260_000
"""Characters of the copy that a saved notebook keeps, if nobody said how many snapshots."""

Subscribe = Callable[[Callable[[Snapshot], object]], Callable[[], None]]


def widget_of(
    recordings: Recording | Sequence[Recording],
    *,
    subscribe: Subscribe | None = None,
    saved: int | None = None,
    still: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """Return a widget that shows recordings.

    Parameters
    ----------
    recordings : Recording or sequence of Recording
    subscribe : callable, optional
        A recorder's, so that the widget grows with the recording.
    still : callable, optional
        Draws the picture that a saved notebook keeps, as :meth:`Animation.still`; default:
        that of the first recording.
    saved, **options
        As for :meth:`Recording.widget`.

    Returns
    -------
    anywidget.AnyWidget

    Raises
    ------
    ImportError
        If anywidget is not installed.
    ValueError, TypeError
        If an option is invalid.
    """
    try:
        from trainviz.player.widget import PlayerWidget
    except ImportError as error:
        raise ImportError(install_hint("anywidget", "widget()")) from error

    if saved is not None and (isinstance(saved, bool) or not hasattr(saved, "__index__")):
        raise TypeError(f"saved={saved!r}: expected a whole number of snapshots")
    if saved is not None and saved < 0:
        raise ValueError(f"saved={saved}: expected a number of snapshots; 0 keeps a picture only")
    listed = [recordings] if isinstance(recordings, Recording) else list(recordings)
    return PlayerWidget(listed, subscribe=subscribe, saved=saved, still=still, **options)


def mimebundle(
    recordings: Recording | Sequence[Recording], **options: Any
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return how recordings show themselves in a notebook; None where there are no widgets."""
    if not _has_widgets():
        return None
    shown = widget_of(recordings, **options)._repr_mimebundle_()
    return shown if isinstance(shown, tuple) else (shown, {})


def _has_widgets() -> bool:
    """Return whether this is a kernel with anywidget, and not a terminal."""
    if find_spec("anywidget") is None or find_spec("IPython") is None:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def saved_copy(
    recordings: Sequence[Recording], saved: int | None, still: str, **options: Any
) -> str:
    """Return HTML that shows recordings where there is no kernel.

    Parameters
    ----------
    recordings : sequence of Recording
    saved : int, optional
        How many snapshots of each it holds; default: as many as are not large.
    still : str
        A picture as a data URL, which stands where a viewer leaves the page out.
    **options
        As for :func:`trainviz.player.page.page_of`.

    Returns
    -------
    str
    """
    if not all(map(len, recordings)):
        return "<p>No snapshot was captured yet when this was shown.</p>"
    picture = f'<img src="{still}" alt="The last snapshot" style="max-width: 100%">' * bool(still)
    page = _small_page(recordings, saved, options)
    if page is None:
        return picture
    # A viewer that removes the frame, as GitHub does, shows the picture that lies below it.
    return (
        f'<div style="position: relative; min-height: 720px">{picture}'
        '<iframe sandbox="allow-scripts allow-downloads" title="trainviz" style="position: '
        'absolute; inset: 0; width: 100%; height: 720px; border: 0; background: white" '
        f'srcdoc="{html.escape(page)}"></iframe></div>'
    )


def _small_page(
    recordings: Sequence[Recording], saved: int | None, options: dict[str, Any]
) -> str | None:
    def page(limit: int) -> str:
        return page_of(recordings, limit=limit, compact=True, **options)

    if saved is not None:
        return page(saved) if saved else None
    longest = max(map(len, recordings))
    least = page(1)
    if len(least) > _BUDGET or longest == 1:
        return least if len(least) <= _BUDGET else None
    each = max(1, len(page(2)) - len(least))
    # Later maps may be larger than those that were measured.
    fits = 1 + int(0.9 * (_BUDGET - len(least))) // each
    found = page(min(fits, longest))
    return found if len(found) <= _BUDGET else least


def picture_of_last(recording: Recording) -> bytes | None:
    """Return a PNG of the last snapshot; None if there is none."""
    if not len(recording):
        return None
    mode = "values" if recording.output.has_value else "region"
    if recording.output.has_labels:
        mode = "probability"
    try:
        film = animate(recording[-1:], mode=mode, figsize=(5.0, 4.2), metrics=False)
    except ValueError:
        # More classes than colours: the page tells that as well.
        return None
    return picture_of(film.still)


def picture_of(draw: Callable[..., Any]) -> bytes | None:
    """Return a small PNG of what a method such as :meth:`Animation.still` draws.

    It stands beside a film in a notebook, for what cannot show the film, such as a PDF.
    """
    from PIL import Image

    drawn, file = io.BytesIO(), io.BytesIO()
    try:
        draw(drawn, format="png", dpi=100)
    except ValueError:
        # The page or the film tells what is wrong.
        return None
    # A palette makes it a quarter as large.
    Image.open(drawn).convert("RGB").quantize(96).save(file, "PNG", optimize=True)
    return file.getvalue()
