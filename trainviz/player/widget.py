"""The player as a widget of notebooks. Needs anywidget."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anywidget
import traitlets
from typing_extensions import Unpack

from trainviz._common.options import with_defaults
from trainviz._common.terminal import warn
from trainviz.errors import CaptureWarning
from trainviz.player.document import MODULES, deflated, module_text, static_text, worker_text
from trainviz.player.facts import columns_of, curves_of, facts_of, limits_of
from trainviz.player.maps import packed_map
from trainviz.player.notebook import Subscribe, picture_of, picture_of_last, saved_copy
from trainviz.player.options import PAGE_DEFAULTS, PageOptions, check_page
from trainviz.recordings.recording import Recording

__all__ = ["PlayerWidget"]


class PlayerWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """Shows recordings, and what is added to them, in Jupyter, VS Code, Colab and marimo.

    Maps are packed and sent by a thread of its own, so that training waits for none of it.
    ``static/widget.js`` says what the messages mean.

    Parameters
    ----------
    recordings : sequence of Recording
    subscribe : callable, optional
        Tells of new snapshots of the first one.
    saved, still
        As for :func:`trainviz.player.notebook.widget_of`.
    **options
        As for :meth:`Recording.widget`.
    """

    _esm = module_text((*MODULES, "widget.js"), "widget")
    _css = static_text("style.css")
    key = traitlets.Unicode().tag(sync=True)
    worker = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)
    # Sent as it is at the moment when a view asks for the state, and by messages otherwise.
    facts = traitlets.Any().tag(sync=True, to_json=lambda _, widget: widget.known())

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        subscribe: Subscribe | None = None,
        saved: int | None = None,
        still: Callable[..., Any] | None = None,
        names: Sequence[str] | None = None,
        by: str = "epoch",
        **options: Unpack[PageOptions],
    ) -> None:
        self._recordings = list(recordings)
        self._names, self._by, self._saved = names, by, saved
        self._draw = still
        self._unsubscribe: Callable[[], None] = lambda: None
        self._generation = 0
        # The times of the snapshots of which the views were told.
        self._told: list[list[tuple[int, float]]] = [[] for _ in self._recordings]
        self._has_facts = False
        self._warned = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trainviz-widget")
        # Mistakes in the options show here, and not in a thread.
        self._options = with_defaults(options, PAGE_DEFAULTS, "widget")
        check_page(self._options)
        self._has_facts = self.known() is not None
        if self._has_facts:
            self._told = [_times(recording) for recording in self._recordings]
        super().__init__(key=uuid.uuid4().hex, worker=deflated(worker_text()))
        self.on_msg(self._hear)
        if subscribe is not None:
            self._unsubscribe = subscribe(lambda snapshot: self._later(self._grow))

    def known(self) -> dict[str, Any] | None:
        """Return what a view must know before the maps; None while nothing is captured."""
        views = [recording[:] for recording in self._recordings]
        if not all(map(len, views)):
            return None
        kept = [range(len(view)) for view in views]
        facts = facts_of(views, kept, self._names, self._options)
        return {**facts, "by": self._by, "generation": self._generation}

    def close(self) -> None:
        """Remove the widget, and follow the recording no longer."""
        self._unsubscribe()
        self._thread.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown = super()._repr_mimebundle_(**kwargs)
        data, about = shown if isinstance(shown, tuple) else (shown, {})
        if not self.still and len(self._recordings[0]):
            draw, last = self._draw, self._recordings[0]
            found = picture_of_last(last) if draw is None else picture_of(draw)
            picture = base64.b64encode(found or b"").decode()
            self.still = f"data:image/png;base64,{picture}" if picture else ""
        copy = saved_copy(
            self._recordings,
            self._saved,
            self.still,
            names=self._names,
            by=self._by,
            **self._options,
        )
        plain = ", ".join(map(repr, self._recordings))
        shown = {**data, "text/plain": plain, "text/html": copy}
        if self.still:
            # For what shows neither: nbconvert to LaTeX and PDF.
            shown["image/png"] = self.still.partition(",")[2]
        return shown, about

    # What the thread does, in the order in which it was asked to.

    def _later(self, act: Callable[..., None], *arguments: Any) -> None:
        # A thread that was shut down, with the widget or the interpreter, takes no more.
        with suppress(RuntimeError):
            self._thread.submit(self._attempt, act, arguments)

    def _attempt(self, act: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            act(*arguments)
        except Exception as error:
            if not self._warned:
                self._warned = True
                warn(
                    f"the widget of a recording could not be updated: {error}; show it again "
                    "to see all of it",
                    CaptureWarning, stacklevel=2,
                )  # fmt: skip

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        self._later(self._answer, content)

    def _answer(self, asked: Any) -> None:
        self._grow()
        for number, recording in enumerate(self._recordings):
            have = asked["have"][number] if number < len(asked["have"]) else 0
            count = len(self._told[number])
            if self._has_facts and count and asked["have"]:
                self._send_columns(number, recording, min(have, count - 1), count)
        if self._has_facts and not asked["have"]:
            self.send({"facts": self.known()})
        for number, index in asked["maps"]:
            if number < len(self._told) and index < len(self._told[number]):
                self._send_map({}, number, index)
        self.send({"answer": asked["question"]})

    def _grow(self) -> None:
        """Tell the views of the snapshots that they do not know."""
        if not self._has_facts:
            facts = self.known()
            if facts is None:
                return
            self._has_facts = True
            self._told = [[] for _ in self._recordings]
            self.send({"facts": facts})
        for number, recording in enumerate(self._recordings):
            times, told = _times(recording), self._told[number]
            same = next(
                (i for i, (a, b) in enumerate(zip(told, times, strict=False)) if a != b),
                min(len(told), len(times)),
            )
            if same < len(told):
                self._generation += 1
            self._told[number] = times
            for index in range(same, len(times)):
                # The one before may have got further metrics since.
                first = max(0, index - 1)
                columns = self._columns(number, recording, first, index + 1)
                self._send_map(columns, number, index)

    def _columns(self, number: int, recording: Recording, first: int, end: int) -> dict[str, Any]:
        rows = range(first, end)
        columns = columns_of(recording, rows, self._options)
        return {
            "recording": number, "from": first, "generation": self._generation,
            "columns": {
                **columns, "limits": limits_of(recording, rows),
                "curves": curves_of(
                    recording, range(len(recording)), self._options["metrics"]
                ),
            },
        }  # fmt: skip

    def _send_columns(self, number: int, recording: Recording, first: int, end: int) -> None:
        self.send(self._columns(number, recording, first, end))

    def _send_map(self, content: dict[str, Any], number: int, index: int) -> None:
        payload = packed_map(self._recordings[number], index)
        about = {"map": [number, index], "generation": self._generation}
        self.send({**content, **about}, buffers=[payload])


def _times(recording: Recording) -> list[tuple[int, float]]:
    # An unknown step is NaN, which does not equal itself.
    steps = [step if step == step else -1.0 for step in recording.steps.tolist()]
    return list(zip(recording.epochs.tolist(), steps, strict=True))
