"""Write recordings and the player into one HTML page that works offline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Unpack

from trainviz._common.options import with_defaults
from trainviz._common.progress import progress_bar
from trainviz.player.document import MODULES, as_base64, as_json, document
from trainviz.player.facts import facts_of
from trainviz.player.maps import packed_map
from trainviz.player.options import PAGE_DEFAULTS, PageOptions, check_page
from trainviz.recordings.recording import Recording
from trainviz.rendering.figure.metric_strip import metric_names
from trainviz.rendering.writers import check_path, finished_file

__all__ = ["page_of", "save_page"]


def save_page(
    recordings: Recording | Sequence[Recording],
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Path:
    """Write a page, atomically.

    Parameters
    ----------
    recordings : Recording or sequence of Recording
        Several are shown side by side on one clock.
    path : path-like
        Ends in ``.html``.
    names : sequence of str, optional
        One a recording.
    limit : int, optional
        At most so many snapshots of each recording.
    progress : bool, optional
        Show a progress bar; default: if standard error is a terminal.
    **options
        As for :func:`page_of`.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the suffix is another, or an option is invalid.
    """
    target = check_path(path, (".html",))
    with progress_bar(target.name, "snapshot", shown=progress) as told:
        text = page_of(recordings, names=names, limit=limit, told=told, **options)
    with finished_file(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return target


def page_of(
    recordings: Recording | Sequence[Recording],
    *,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    by: str = "epoch",
    compact: bool = False,
    told: Callable[[int], Any] = lambda total: None,
    **options: Unpack[PageOptions],
) -> str:
    """Return a page as text.

    Parameters
    ----------
    recordings, names, limit
        As for :func:`save_page`.
    by : {"epoch", "step", "progress"}
        How several recordings are brought onto one clock at first.
    compact : bool
        As for :func:`trainviz.player.document.document`.
    told : callable
        Called with the number of all snapshots, after each.
    **options
        :class:`trainviz.player.options.PageOptions`.

    Returns
    -------
    str
    """
    filled = with_defaults(options, PAGE_DEFAULTS, "save_page")
    check_page(filled)
    listed = [recordings] if isinstance(recordings, Recording) else list(recordings)
    if not listed:
        raise ValueError("recordings=[]: a page shows at least one recording")
    if names is not None and len(names) != len(listed):
        raise ValueError(f"names: {len(names)} for {len(listed)} recordings")
    if limit is not None and (isinstance(limit, bool) or not hasattr(limit, "__index__")):
        raise TypeError(f"limit={limit!r}: expected a whole number of snapshots")
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: expected at least 1 snapshot")
    whole = [recording[:] for recording in listed]
    given = [names[k] if names else "" for k in range(len(whole))]
    views = [view for view in whole if len(view)]
    shown = [name for name, view in zip(given, whole, strict=True) if len(view)]
    title = filled["title"] or ""
    if not views:
        return _written({"title": title, "recordings": []}, [], compact)
    metric_names(views, filled["metrics"])  # Raises for those that no recording has.
    kept = [_chosen(len(view), limit) for view in views]
    facts = facts_of(views, kept, shown, filled)
    facts["by"] = by
    if len(views) < len(whole):
        empty = [name for name, view in zip(given, whole, strict=True) if not len(view)]
        facts["note"] = f"No snapshot was captured of {', '.join(empty)}. {facts['note']}".strip()
    return _written(facts, list(_maps(views, kept, told)), compact)


def _maps(
    views: list[Recording], kept: list[list[int]], told: Callable[[int], Any]
) -> Iterator[str]:
    """Yield the element that holds each snapshot's packed map."""
    total = sum(map(len, kept))
    for number, (view, picked) in enumerate(zip(views, kept, strict=True)):
        for place, index in enumerate(picked):
            yield (
                f'<script type="text/plain" class="trainviz-map" id="trainviz-{number}-{place}">'
                f"{as_base64(packed_map(view, index))}</script>"
            )
            told(total)


def _chosen(n: int, limit: int | None) -> list[int]:
    """Return which snapshots are kept: evenly spread, the first and the last among them."""
    if limit is None or limit >= n:
        return list(range(n))
    return (
        sorted({round(place) for place in np.linspace(0, n - 1, limit)}) if limit > 1 else [n - 1]
    )


def _written(facts: dict[str, Any], maps: list[str], compact: bool) -> str:
    data = f'<script type="application/json" id="trainviz-facts">{as_json(facts)}</script>'
    text, _ = document(
        MODULES, "startPage(document);", title=facts["title"] or "trainviz", data=data, maps=maps,
        compact=compact,
    )  # fmt: skip
    return text
