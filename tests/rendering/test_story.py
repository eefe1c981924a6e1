"""The title card, the captions and the chapters of a film."""

import pickle
import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

import trainviz as tv

SMALL = {"figsize": (5, 4), "dpi": 50, "interpolate": 4}
WHITE, DARK = (255, 255, 255), (16, 18, 22)


def film_of(recording, **options):
    return tv.animate(recording, **{**SMALL, **options})


def makers():
    return [
        pytest.param(film_of, id="animate"),
        pytest.param(lambda run, **options: tv.compare([run, run], **{**SMALL, **options}),
                     id="compare"),
    ]  # fmt: skip


either = pytest.mark.parametrize("make", makers())


def band(film, index, plain):
    """Return the rows below the picture that the film without captions shows."""
    return film[index][plain.shape[0] :]


def chapters(path):
    """Return the chapters of a video: (seconds, seconds, name) each, as ffmpeg reads them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path),
               "-f", "ffmetadata", "-"]  # fmt: skip
    told = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    found = []
    for part in told.split("[CHAPTER]\n")[1:]:
        entries = dict(re.findall(r"^(\w+)=((?:\\.|[^\n\\]|\\\n)*)$", part, re.MULTILINE))
        unit = int(entries["TIMEBASE"].split("/")[1])
        name = re.sub(r"\\(.)", r"\1", entries["title"], flags=re.DOTALL)
        found.append((int(entries["START"]) / unit, int(entries["END"]) / unit, name))
    return found


# The title card.


@either
@pytest.mark.parametrize(("dark", "ground"), [(False, WHITE), (True, DARK)])
def test_a_card_with_the_title_is_shown_first(recording, make, dark, ground):
    plain = make(recording, title="Trees", dark=dark)
    film = make(recording, title="Trees", dark=dark, card=0.5)
    assert len(film) == 15 + len(plain)
    assert film.shape == plain.shape == film[0].shape[:2]
    assert all(np.array_equal(film[index], film[0]) for index in (1, 14))
    assert all(map(np.array_equal, list(film)[15:], plain))
    assert np.array_equal(film[-1], plain[-1])
    # Nothing but letters on the ground, in the middle.
    off = np.argwhere((film[0] != ground).any(axis=-1))
    height, width = film.shape
    assert off.mean(axis=0) == pytest.approx((height / 2, width / 2), rel=0.06)
    assert 0.002 < len(off) / (height * width) < 0.1


def test_a_card_shows_the_subtitle_too(recording):
    title = film_of(recording, title="Trees", card=1)[0]
    both = film_of(recording, title="Trees", subtitle="ash and birch", card=1)[0]
    rows = [np.flatnonzero((card != WHITE).any(axis=(1, 2))) for card in (title, both)]
    assert np.ptp(rows[1]) > 1.5 * np.ptp(rows[0])


def test_a_long_title_is_wrapped_on_its_card(recording):
    film = film_of(recording, title="Three classes around the origin " * 3, card=1)
    columns = np.flatnonzero((film[0] != WHITE).any(axis=(0, 2)))
    assert columns.min() > 0.05 * film.shape[1]
    assert columns.max() < 0.95 * film.shape[1]


@pytest.mark.parametrize("place", ["card", "caption"])
def test_the_texts_of_a_film_are_plain_unless_they_are_marked_as_math(recording, place):
    def ink(text):
        if place == "card":
            film = film_of(recording, title=text, card=1)
        else:
            film = film_of(recording, captions={0: text})
        frame = film[0] if place == "card" else film[0][-30:]
        return np.ptp(np.flatnonzero((frame != WHITE).any(axis=(0, 2))))

    assert ink(r"$\alpha$") > 1.2 * ink(tv.math(r"\alpha"))
    assert ink("costs $5-$10") > ink("costs 5-10")


def test_there_is_no_frame_beyond_a_film_with_a_card(recording):
    film = film_of(recording, title="Trees", card=0.1)
    for index in (len(film), -len(film) - 1):
        with pytest.raises(IndexError, match=f"film with {len(film)} frames"):
            film[index]


@pytest.mark.parametrize("card", [-1, float("nan"), "2", None])
def test_a_card_lasts_seconds(recording, card):
    with pytest.raises(ValueError, match=r"card=.*: expected seconds, 0 or more"):
        film_of(recording, title="Trees", card=card)


def test_a_card_without_a_title_is_told(recording):
    with pytest.raises(ValueError, match=r"card=2 shows the title and the subtitle: give title="):
        film_of(recording, card=2)
    assert len(film_of(recording, subtitle="trees", card=2)) == 60 + 17


# Captions.


@either
def test_a_caption_stands_from_its_epoch_until_the_next(recording, make):
    """Snapshots are of the epochs 0, 10, ... 40, four frames apart."""
    size = {"figsize": None, "dpi": 50}
    plain = make(recording, **size)
    film = make(recording, captions={10: "They move", 20: "They settle", 30: ""}, **size)
    assert film.shape[1] == plain.shape[1]
    assert film.shape[0] > plain.shape[0]
    assert len(film) == len(plain)
    assert all(
        np.array_equal(frame[: plain.shape[0]], other)
        for frame, other in zip(film, plain, strict=True)
    )
    bands = [band(film, index, plain) for index in range(17)]
    for index, shown in enumerate(bands):
        begun = 4 * (index // 4)
        assert np.array_equal(shown, bands[begun])
    empty = [bool((bands[index] == WHITE).all()) for index in (0, 4, 8, 12)]
    assert empty == [True, False, False, True]
    assert not np.array_equal(bands[4], bands[8])


@either
def test_with_a_figsize_captions_take_their_room_from_it(recording, make):
    film = make(recording, figsize=(6, 5), captions={0: "They move"})
    assert film.shape == (250, 300)
    assert film.shape == film[0].shape[:2]


def test_a_long_caption_has_several_lines_and_all_of_it_is_in_the_picture(recording):
    short = film_of(recording, figsize=None, captions={0: "They move"})
    long = film_of(
        recording, figsize=None, captions={0: "They move", 20: "And then they rest " * 6}
    )
    assert long.shape[0] > short.shape[0] + 8
    below = long[-1][short.shape[0] - 10 :]
    dark = (below != WHITE).any(axis=-1)
    assert dark.any(axis=1).sum() > 15
    assert not dark[-2:].any()
    assert not dark[:, :4].any()
    assert not dark[:, -4:].any()


@pytest.mark.parametrize(
    "make", [tv.animate, lambda run, **options: tv.compare([run] * 2, **options)]
)
@pytest.mark.parametrize(("style", "points", "dpi"), [("slides", 18, 150), ("paper", 7, 300)])
def test_captions_are_as_large_as_the_text_of_a_preset(recording, make, style, points, dpi):
    plain = make(recording, style=style)
    film = make(recording, style=style, captions={0: "They move"})
    # A line and the room around it.
    assert 1.4 < (film.shape[0] - plain.shape[0]) / (points / 72 * dpi) < 2.4


def test_captions_keep_their_dollars(recording):
    film = film_of(recording, captions={0: "$5 to $10, and a_b^c {"})
    assert film[0].shape[:2] == film.shape


def test_captions_and_card_together(recording):
    film = film_of(recording, title="Trees", card=0.5, captions={0: "They move"})
    assert film[0].shape == film[20].shape == (*film.shape, 3)


def test_a_still_is_for_a_page_with_a_caption_of_its_own(recording):
    plain, film = (film_of(recording, captions=texts) for texts in (None, {0: "They move"}))
    texts = [text.get_text() for text in film.still().texts]
    assert texts == [text.get_text() for text in plain.still().texts]
    assert np.array_equal(film.still().get_size_inches(), plain.still().get_size_inches())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"captions": {12: "They move"}},
            tv.RecordingError,
            r"captions: epoch=12.* nearest .*10 and 20; give one of these",
        ),
        ({"captions": {99: "They move"}}, tv.RecordingError, r"captions: epoch=99.* nearest .*40"),
        ({"captions": "They move"}, TypeError, r"captions='They move': .*captions=\{10: 'the"),
        ({"captions": [(10, "They move")]}, TypeError, "expected epochs and texts"),
        ({"captions": {"10": "They move"}}, TypeError, "captions: '10' is no epoch"),
        ({"captions": {10: 3}}, TypeError, "captions: 3 is no text"),
        ({"bookmark": [10, 99]}, tv.RecordingError, r"bookmark: epoch=99.* nearest .*40; give"),
        ({"bookmark": [-5]}, tv.RecordingError, r"bookmark: epoch=-5.* nearest .*0; give"),
        ({"bookmark": 10}, TypeError, r"bookmark=10: expected epochs, e\.g\. bookmark=\[10, 50\]"),
        ({"bookmark": "10"}, TypeError, "bookmark='10': expected epochs"),
        ({"bookmark": [True]}, TypeError, "bookmark: True is no epoch"),
        ({"bookmark": {10: 3}}, TypeError, "bookmark: 3 is no text"),
    ],
)
@either
def test_what_is_no_caption_and_no_bookmark_is_told(recording, make, options, error, message):
    with pytest.raises(error, match=message):
        make(recording, **options)


# Chapters.


@either
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_bookmarks_are_the_chapters_of_a_video(recording, make, suffix, tmp_path):
    film = make(recording, title="Trees", bookmark=[30, 10], fps=20, hold=1)
    found = chapters(film.save(tmp_path / f"film{suffix}"))
    assert [name for _, _, name in found] == ["Trees", "epoch 10", "epoch 30"]
    starts, ends, _ = zip(*found, strict=True)
    assert starts == pytest.approx([0, 4 / 20, 12 / 20], abs=0.002)
    assert ends == pytest.approx([4 / 20, 12 / 20, len(film) / 20], abs=0.002)


def test_chapters_have_names_and_begin_after_the_card(recording, tmp_path):
    names = {0: "a=b; c#d", 20: "größe \\ ∇"}
    film = film_of(recording, title="Trees", card=1, bookmark=names, fps=20)
    found = chapters(film.save(tmp_path / "film.mp4"))
    assert [(start, name) for start, _, name in found] == [
        (0, "Trees"), (pytest.approx(1), "a=b; c#d"), (pytest.approx(1.4), "größe \\ ∇"),
    ]  # fmt: skip
    faster = film.save(tmp_path / "film.mp4", fps=40)
    assert [start for start, _, _ in chapters(faster)] == pytest.approx([0, 0.5, 0.7])


def test_a_bookmark_at_the_beginning_is_the_first_chapter(recording, tmp_path):
    film = film_of(recording, bookmark=[0, -1], counter="tree {epoch}")
    found = chapters(film.save(tmp_path / "film.mp4"))
    assert [name for _, _, name in found] == ["tree 0", "tree 40"]


def test_chapters_follow_the_pace(recording, tmp_path):
    film = film_of(recording, bookmark=[10], pace="geometric", fps=10)
    start = chapters(film.save(tmp_path / "film.mp4"))[1][0]
    assert start > 4 / 10
    shown = film[round(start * 10)]
    assert np.array_equal(shown, film_of(recording)[4])


def test_a_film_without_bookmarks_has_no_chapters(recording, tmp_path):
    assert chapters(film_of(recording, card=1, title="Trees").save(tmp_path / "film.mp4")) == []


def test_formats_without_chapters_leave_them_out(recording, tmp_path):
    plain, film = film_of(recording), film_of(recording, bookmark=[10])
    paths = [each.save(tmp_path / name) for each, name in ((plain, "a.gif"), (film, "b.gif"))]
    assert paths[0].read_bytes() == paths[1].read_bytes()


# Elsewhere.


def test_a_clip_and_several_processes_tell_the_same_story(recording, tmp_path):
    film = film_of(recording, title="Trees", card=0.2, captions={10: "They move"})
    clip = film.to_clip()
    assert np.array_equal(clip.get_frame(0), film[0])
    assert np.array_equal(clip.get_frame(clip.duration - 1e-3), film[-1])
    alone, many = (film.save(tmp_path / f"{n}.gif", jobs=n) for n in (1, 2))
    assert alone.read_bytes() == many.read_bytes()
    assert np.array_equal(pickle.loads(pickle.dumps(film))[10], film[10])


def test_a_page_has_no_card_and_plays_as_long_as_the_rest(recording, tmp_path):
    plain = film_of(recording, title="Trees")
    film = film_of(recording, title="Trees", card=3, captions={10: "They move"}, bookmark=[10])
    pages = [each.save(tmp_path / "film.html").read_text("utf-8") for each in (plain, film)]
    assert pages[0] == pages[1]


def test_captions_of_a_small_film_are_smaller_where_they_would_leave_the_map_no_room(recording):
    words = "the classes separate, and the border between them finds its place"
    film = tv.animate(recording, figsize=(2.2, 1.9), captions={0: words}, metrics=False)
    scene = film._scene.shape[0]
    assert film.shape == (190, 220)
    assert scene >= 0.7 * 190
    assert len(np.unique(film[0][scene:])) > 2
