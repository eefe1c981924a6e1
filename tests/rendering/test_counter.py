"""The counter: the epoch, what else a recording counts, or a text of one's own."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from trainviz import Domain, Recorder, animate, compare


def shown(figure):
    return {ax.get_title(loc="right") for ax in figure.axes} - {""}


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_the_counter_can_say_tree(recording):
    film = animate(recording, counter="tree {epoch}")
    assert shown(film.still()) == {"tree 40"}
    assert titles(film.filmstrip(epochs=[0, 20])) == ["tree 0", "tree 20"]
    assert (film[0] != animate(recording)[0]).any()
    both = compare([recording, recording], counter="tree {epoch} of 40")
    assert "tree 40 of 40" in {text.get_text() for text in both.still().findobj() if _has(text)}


def _has(artist):
    return hasattr(artist, "get_text")


def test_the_counter_can_say_the_step():
    recorder = Recorder(Domain((0, 1), (0, 1), points_per_axis=5))
    for step in (0, 5):
        recorder.capture(lambda X: X[:, 0], epoch=0, step=step)
    assert shown(animate(recorder.recording, counter="{step:03d}").still()) == {"005"}


@pytest.mark.parametrize(
    ("counter", "error", "message"),
    [
        ("tree {n}", ValueError, r"expected True, False or a text with \{epoch\} or \{step\}"),
        ("tree {epoch", ValueError, "expected True, False or a text"),
        ("tree {}", ValueError, "expected True, False or a text"),
        ("step {step}", ValueError, "the steps of this recording are not known"),
        (5, TypeError, "expected True or False, or a text such as"),
    ],
)
def test_a_counter_that_cannot_be_shown_is_refused_at_once(recording, counter, error, message):
    with pytest.raises(error, match=message):
        animate(recording, counter=counter)
    with pytest.raises((ValueError, TypeError)):
        compare([recording, recording], counter=counter)


def test_a_comparison_by_progress_counts_no_epochs(recording):
    with pytest.raises(ValueError, match=r"by='progress' counts \{progress\} alone"):
        compare([recording, recording], counter="{epoch}", by="progress")


def test_a_text_without_a_number_is_shown_as_it_is(recording):
    assert shown(animate(recording, counter="boosting").still()) == {"boosting"}


@pytest.mark.parametrize(
    "counter", ["\u03b1\u03b2\u03b3 {epoch}", "\u062d\u0642\u0628\u0629 {epoch}"]
)
def test_a_film_draws_a_counter_in_the_fonts_that_have_its_letters(recording, counter):
    """Neither Greek nor Arabic is in cmr10; a fall-back font has them, in stills as in films."""
    with matplotlib.rc_context({"font.family": "cmr10"}):
        film = animate(recording, counter=counter, dpi=100, metrics=False)
        still = film.still()
        still.canvas.draw()
        title = still.axes[0]._right_title.get_window_extent().padded(4)
        frame = film[len(film) - 1]
    drawn = np.array(still.canvas.buffer_rgba())[..., :3]
    top = drawn.shape[0] - round(title.y1)
    place = np.s_[top : top + round(title.height), int(title.x0) : int(title.x1)]
    ink = [255 - np.asarray(Image.fromarray(part[place]).reduce(4), int) for part in (drawn, frame)]
    assert ink[0].mean() > 4
    assert np.abs(ink[0] - ink[1]).mean() < 0.6 * ink[0].mean()
