"""The text that changes from frame to frame: the epoch, or the step."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from trainviz._common.arrays import Image
from trainviz.recordings.recording import Recording
from trainviz.recordings.time_axis import Moment, counted_by, positions, value_at
from trainviz.rendering.figure.options import fields_of
from trainviz.rendering.figure.parts import Layout, new_figure
from trainviz.rendering.figure.texts import is_right_to_left, prepare_texts

__all__ = ["Caption", "Counter"]

_MARK_SHARE = 0.1
"""For how long a mark is told, as a share of the run."""

_BETWEEN = "  \N{MIDDLE DOT}  "


class Caption:
    """The text of a layout's counter, written on frames.

    Parameters
    ----------
    layout : Layout
        The layout of a figure that has been drawn.
    """

    def __init__(self, layout: Layout) -> None:
        x, y = layout.counter.get_transform().transform(layout.counter.get_position())
        self._anchor = round(x), round(layout.figure.bbox.height - y)
        self._theme, self._ink = layout.theme, layout.counter.get_color()
        self._layout = layout
        self._pictures = lru_cache(maxsize=64)(self._draw)

    def write(self, frame: Image, text: str) -> None:
        """Write a text, right-aligned at the counter's position, into a frame in place."""
        # Digit by digit, so that ten cached pictures suffice; all digits have the same width.
        right, baseline = self._anchor
        # From right to left, the digits have another place.
        parts = [text] if is_right_to_left(text) else re.findall(r"\d|\D+", text)
        for part in reversed(parts):
            picture = self._pictures(part)
            height, width = picture.shape[:2]
            top = baseline - self._ascent
            frame[top : top + height, right - width : right] = picture
            right -= width

    def _draw(self, text: str) -> Image:
        from PIL import Image as Images
        from PIL import ImageDraw

        font = self._font
        self._ascent, descent = font.getmetrics()
        if not text.isascii():
            return self._drawn_by_matplotlib(text, self._ascent + descent, descent)
        width = round(font.getlength(text))
        picture = Images.new("RGB", (width, self._ascent + descent), self._theme.background)
        ImageDraw.Draw(picture).text((0, 0), text, font=font, fill=self._ink)
        return np.asarray(picture)

    def _drawn_by_matplotlib(self, text: str, height: int, descent: int) -> Image:
        """Draw what may need other fonts, or shaping, as the layout has drawn its counter."""
        dpi, counter = self._layout.figure.dpi, self._layout.counter
        figure = new_figure((1, height / dpi), dpi, self._theme)
        figure.set_layout_engine("none")
        drawn = figure.text(
            0, descent / height, text, color=self._ink, parse_math=False, va="baseline",
            fontproperties=counter.get_fontproperties(),
        )  # fmt: skip
        with warnings.catch_warnings():
            # The layout has warned of characters without a font.
            warnings.simplefilter("ignore")
            prepare_texts(figure, [drawn])
            width = max(1, round(drawn.get_window_extent().width))
            figure.set_size_inches((width + 0.01) / dpi, (height + 0.01) / dpi)
            figure.canvas.draw()
        picture: Image = np.array(figure.canvas.buffer_rgba())[:height, :width, :3]
        return picture

    @cached_property
    def _font(self) -> Any:
        from matplotlib.font_manager import findfont
        from PIL import ImageFont

        counter = self._layout.counter
        pixels = counter.get_fontsize() * self._layout.figure.dpi / 72
        path = findfont(counter.get_fontproperties())
        return ImageFont.truetype(path, round(pixels), layout_engine=ImageFont.Layout.BASIC)


class Counter:
    """The text that shows a frame's epoch, and its step if the recording counts steps.

    Parameters
    ----------
    recording : Recording
    wanted : bool or str, default True
        Another text, with ``{epoch}`` and ``{step}`` in the place of the numbers.
    marks : mapping of float to str, optional
        Texts that stand before it from an epoch (or step) on, for a while.

    Raises
    ------
    ValueError
        If the text asks for a step that the recording does not know.
    """

    def __init__(
        self,
        recording: Recording,
        wanted: bool | str = True,
        marks: Mapping[float, str] | None = None,
    ) -> None:
        self._text = wanted if isinstance(wanted, str) else None
        self._unit = recording.unit
        self._times = positions(recording)
        self._marks = sorted((marks or {}).items())
        self._while = _MARK_SHARE * float(np.ptp(self._times))
        self._epochs = recording.epochs.astype(np.float64)
        self._steps = recording.steps if counted_by(recording) == "step" else None
        if self._text is not None and "step" in fields_of(self._text):
            self._steps = recording.steps
            if not np.isfinite(self._steps).all():
                raise ValueError(
                    f"counter={wanted!r}: the steps of this recording are not known; expected a "
                    "text with {epoch} alone"
                )
        self._last = len(recording) - 1 if recording.ends_with_other_weights else None
        if self._last is not None:
            shown = recording[-1].weights_epoch
            of = "weights of" if self._unit == "epoch" else "as of"
            self._weights = "final weights" if shown is None else f"{of} {self._unit} {shown}"
        ends = [Moment(0, 0.0), Moment(len(self._epochs) - 1, 0.0)]
        plain = max((self._counted(end) for end in ends), key=len)
        marked = [f"{text}{_BETWEEN}" for _, text in self._marks]
        self.widest = max(["", *marked], key=len) + plain

    def text(self, moment: Moment) -> str:
        """Return the counter's text at a moment.

        The last snapshot says so if averaged or restored weights are shown.
        """
        now = value_at(self._times, moment)
        marked = [text for time, text in self._marks if 0 <= now - time <= self._while]
        return f"{marked[-1]}{_BETWEEN}{self._counted(moment)}" if marked else self._counted(moment)

    def _counted(self, moment: Moment) -> str:
        number = int(value_at(self._epochs, moment) + 1e-9)
        if self._text is not None:
            steps = {} if self._steps is None else {"step": self._step(moment)}
            return self._text.format(epoch=number, **steps)
        if not self._unit:
            return ""
        epoch = f"{self._unit} {number}"
        if moment.left == self._last:
            return f"{epoch}, {self._weights}"
        if self._steps is None:
            return epoch
        return f"{epoch}, step {self._step(moment)}"

    def _step(self, moment: Moment) -> int:
        assert self._steps is not None
        return int(value_at(self._steps, moment) + 1e-9)
