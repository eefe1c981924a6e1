"""What a film tells beside its maps: a title card, captions, and chapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import Image
from trainviz._common.checks import is_positive
from trainviz.errors import RecordingError
from trainviz.rendering.figure.fitting import fit_text
from trainviz.rendering.figure.options import SceneOptions, style_of
from trainviz.rendering.figure.parts import Theme, new_figure
from trainviz.rendering.figure.texts import prepare_texts

__all__ = ["Story", "check_story"]

Scene = TypeVar("Scene", bound=Mapping[str, Any])

_EXAMPLES = {"captions": "{10: 'the classes separate'}", "bookmark": "[10, 50] or {10: 'settled'}"}

_LEAST_SIZE = 5.0
"""Points of a caption in a small figure; smaller type could not be read."""

_RIM = 0.05
"""The share of a frame's width that stays free at each side of a text."""


def check_story(options: Mapping[str, Any]) -> None:
    """Refuse what is no title card, no captions or no bookmarks."""
    card = options["card"]
    if not (card == 0 or is_positive(card)):
        raise ValueError(f"card={card!r}: expected seconds, 0 or more")
    if card and not (options.get("title") or options.get("subtitle")):
        raise ValueError(f"card={card!r} shows the title and the subtitle: give title='...'")
    captions, bookmark = options["captions"], options["bookmark"]
    if captions is not None and not isinstance(captions, Mapping):
        raise TypeError(f"captions={captions!r}: expected epochs and texts, {_example('captions')}")
    if isinstance(bookmark, str) or not isinstance(bookmark, (Mapping, Sequence, type(None))):
        raise TypeError(f"bookmark={bookmark!r}: expected epochs, {_example('bookmark')}")
    for name, given in (("captions", captions), ("bookmark", bookmark)):
        for epoch in given or ():
            if isinstance(epoch, bool) or not isinstance(epoch, (int, float, np.number)):
                raise TypeError(f"{name}: {epoch!r} is no epoch, {_example(name)}")
        for text in given.values() if isinstance(given, Mapping) else ():
            if not isinstance(text, str):
                raise TypeError(f"{name}: {text!r} is no text, {_example(name)}")


class Story:
    """The title card before a film, the captions below its frames, and its chapters.

    Parameters
    ----------
    options : mapping
        Of the film, with defaults.
    scene : SceneOptions
        Its figure's options, with those of its preset.
    starts : ndarray of int
        The frame that shows each snapshot as it is, without the card.
    index_at : callable
        ``epoch -> index`` into ``starts``; raises a RecordingError for an epoch without one.
    name_of : callable
        ``index -> text``, the name of a chapter that has none.

    Attributes
    ----------
    n_card : int
        The frames of the title card.
    chapters : tuple of (int, str)
        The first frame of each, and its name; the first begins with the film.

    Raises
    ------
    RecordingError
        If a caption or a bookmark is at an epoch that was not captured.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        scene: SceneOptions,
        starts: npt.NDArray[np.intp],
        index_at: Callable[[Any], int],
        name_of: Callable[[int], str],
    ) -> None:
        self._options = options
        self._theme = Theme.of(options.get("dark", False))
        self._style, self._dpi = style_of(scene), float(scene["dpi"])
        self.n_card: int = round(options["card"] * options["fps"])
        captions, bookmark = options["captions"] or {}, options["bookmark"] or ()
        # Later ones first, to find the last that has begun.
        self._captions = sorted(
            ((int(starts[_found("captions", index_at, epoch)]), text)
             for epoch, text in captions.items()), reverse=True,
        )  # fmt: skip
        marks = {_found("bookmark", index_at, epoch): epoch for epoch in bookmark}
        names = bookmark if isinstance(bookmark, Mapping) else {}
        found = [
            (self.n_card + int(starts[index]), names.get(epoch) or name_of(index))
            for index, epoch in sorted(marks.items())
        ]
        if found and found[0][0] > 0:
            found.insert(0, (0, options.get("title") or "Start"))
        self.chapters = tuple(found)
        self._bands: dict[int, dict[str, Image]] = {}

    def room(self, scene: Scene) -> Scene:
        """Return the options of a scene that leaves the captions their part of the figure."""
        size = scene.get("figsize")
        if size is None or not self._captions:
            return scene
        tall = size[1] - self._band_height(round(size[0] * self._dpi)) / self._dpi
        return {**scene, "figsize": (size[0], tall)}  # type: ignore[return-value]

    def shape(self, scene: tuple[int, int]) -> tuple[int, int]:
        """Return ``(height, width)`` of a frame, given that of the scene."""
        return scene[0] + self._band_height(scene[1]), scene[1]

    def told(
        self, paint: Callable[[int], Image], n_frames: int, scene: tuple[int, int]
    ) -> Callable[[int], Image]:
        """Return a function that makes frames with captions, after the title card.

        Parameters
        ----------
        paint : callable
            ``index -> frame`` without them; the indices count from the card's end.
        n_frames : int
            Of the film, the card included.
        scene : tuple of int
            ``(height, width)`` of the frames that it makes.
        """
        if not self.n_card and not self._captions:
            return paint
        width = scene[1]
        card: list[Image] = []

        def make(index: int) -> Image:
            if not -n_frames <= index < n_frames:
                raise IndexError(f"frame {index} of a film with {n_frames} frames")
            place = index % n_frames - self.n_card
            if place < 0:
                if not card:
                    card.append(self._card(self.shape(scene)))
                return card[0].copy()
            frame = paint(place)
            if not self._captions:
                return frame
            text = next((text for start, text in self._captions if start <= place), "")
            return np.concatenate([frame, self._band(width)[text]])

        return make

    def _band_height(self, width: int) -> int:
        return self._band(width)[""].shape[0] if self._captions else 0

    def _band(self, width: int) -> dict[str, Image]:
        """Return the pictures of all captions, of one height."""
        if width not in self._bands:
            self._bands[width] = self._written(width)
        return self._bands[width]

    def _written(self, width: int) -> dict[str, Image]:
        """Return the pictures of captions as large as can be, but below a quarter of the frame."""
        given = self._options.get("figsize")
        # A preset's sizes are those of the page or the screen that the film is shown on.
        largest = self._style.counter
        size = largest if self._style.name else min(largest, 5 + width / self._dpi)
        while True:
            pictures = self._written_in(width, size)
            tall = pictures[""].shape[0]
            if given is None or tall <= 0.25 * given[1] * self._dpi or size <= _LEAST_SIZE:
                return pictures
            size = max(size - 1.0, _LEAST_SIZE)

    def _written_in(self, width: int, size: float) -> dict[str, Image]:
        inches = width / self._dpi
        figure = new_figure((inches, inches), self._dpi, self._theme)
        figure.set_layout_engine("none")
        texts = {}
        for words in dict.fromkeys(["", *(text for _, text in self._captions)]):
            text = figure.text(
                0.5, 0.5, words, ha="center", va="center", size=size,
                color=self._theme.foreground, linespacing=1.3,
            )  # fmt: skip
            prepare_texts(figure, [text])
            # Wrapped into as many lines as needed, which all captions then have room for.
            fit_text(text, (1 - 2 * _RIM) * width)
            texts[words] = text
        pad = 0.8 * size / 72 * self._dpi
        tall = max(text.get_window_extent().height for text in texts.values()) + pad
        height = 2 * round(tall / 2)
        figure.set_size_inches(inches, height / self._dpi)
        pictures = {}
        for words, text in texts.items():
            for other in texts.values():
                other.set_visible(other is text)
            pictures[words] = _picture(figure, height, width)
        return pictures

    def _card(self, shape: tuple[int, int]) -> Image:
        height, width = shape
        inches = width / self._dpi
        figure = new_figure((inches, height / self._dpi), self._dpi, self._theme)
        figure.set_layout_engine("none")
        size, room = min(30.0, 6 + 2.4 * inches), (1 - 4 * _RIM) * width
        above = figure.text(
            0.5, 0.52, self._options.get("title") or "", ha="center", va="bottom", size=size,
            weight="bold", color=self._theme.foreground, linespacing=1.2,
        )  # fmt: skip
        below = figure.text(
            0.5, 0.48, self._options.get("subtitle") or "", ha="center", va="top",
            size=0.55 * size, color=self._theme.muted, linespacing=1.3,
        )  # fmt: skip
        prepare_texts(figure, [above, below])
        fit_text(above, room)
        fit_text(below, room)
        if not below.get_text():
            above.set(y=0.5, va="center")
        return _picture(figure, height, width)


def _example(name: str) -> str:
    return f"e.g. {name}={_EXAMPLES[name]}"


def _found(name: str, index_at: Callable[[Any], int], epoch: Any) -> int:
    try:
        return index_at(epoch)
    except RecordingError as error:
        raise RecordingError(f"{name}: {error}; give one of these") from None


def _picture(figure: Any, height: int, width: int) -> Image:
    figure.canvas.draw()
    drawn: Image = np.array(figure.canvas.buffer_rgba())[:height, :width, :3]
    return drawn
