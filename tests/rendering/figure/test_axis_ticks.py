"""Pictures of maps with categories and dates along their axes."""

import numpy as np
import pandas as pd
import pytest

import trainviz as tv

N = 40
FRAME = pd.DataFrame({
    "age": np.linspace(20, 60, N),
    "city": (["Rome", "Paris", "Lyon"] * N)[:N],
    "size": (["s", "l"] * N)[:N],
    "since": pd.date_range("2020-01-01", "2023-01-01", periods=N),
})  # fmt: skip


def of_city(frame):
    """The class is the city, whatever else."""
    return np.stack([frame["city"] == name for name in ("Lyon", "Paris", "Rome")], 1) * 1.0


def recorded(domain, predict=of_city, **options):
    recorder = tv.Recorder(domain, **options)
    for epoch in (0, 1):
        recorder.capture(predict, epoch=epoch)
    return recorder.recording


def colors_in(picture):
    return {tuple(color) for color in np.asarray(picture).reshape(-1, 3).tolist()}


@pytest.mark.parametrize("features", [("city", "age"), ("age", "city"), ("city", "size")])
@pytest.mark.parametrize(
    ("mode", "colors"), [("region", 3), (tv.modes.Probability(1, levels=(), cmap="viridis"), 2)]
)
def test_no_colour_is_a_mixture_of_two_categories(features, mode, colors):
    recording = recorded(tv.Domain.slice(FRAME, features, resolution=9))
    film = tv.animate(recording, mode=mode, dpi=70)
    # Of the frame the map alone, without its rim: the colours, and the lines between cells.
    left, top, width, height = film._scene._layout.box
    seen = colors_in(film[0][top + 2 : top + height - 2, left + 2 : left + width - 2])
    assert len(seen) == colors + 1
    assert (255, 255, 255) in seen


def test_ticks_name_the_categories_and_lines_part_them():
    recording = recorded(tv.Domain.slice(FRAME, ("city", "size"), resolution=12))
    ax = tv.animate(recording, legend=False).still().axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Lyon", "Paris", "Rome"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["l", "s"]
    assert ax.get_xticks().tolist() == [0, 1, 2]
    parted = {tuple(line.get_xdata()) for line in ax.lines}
    assert {(0.5, 0.5), (1.5, 1.5)} <= parted
    assert ax.get_aspect() == "auto"


def test_long_names_are_shortened_turned_and_never_read_as_mathematics():
    names = {"Rome": "$5-$10", "Paris": "a name that is much too long to be shown", "Lyon": "x\ny"}
    frame = FRAME.assign(city=FRAME["city"].map(names))
    recording = recorded(
        tv.Domain.slice(frame, ("city", "age"), resolution=12), lambda f: f["age"] > 30
    )
    ax = tv.animate(recording, legend=False, figsize=(4, 3)).still().axes[0]
    texts = ax.get_xticklabels()
    assert [text.get_text() for text in texts] == ["$5-$10", "a name that is much too…", "x y"]
    assert not any(text.get_parse_math() for text in texts)
    assert {text.get_rotation() for text in texts} == {35.0}


def test_dates_have_ticks_of_the_calendar():
    recording = recorded(
        tv.Domain.slice(FRAME, ("since", "age"), resolution=9), lambda f: f["age"] > 30
    )
    figure = tv.animate(recording, legend=False).still()
    figure.canvas.draw()
    ax = figure.axes[0]
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    low, high = ax.get_xlim()
    texts = [label.get_text() for place, label in ticks if low < place < high]
    assert texts == ["2020", "2021", "2022", "2023"]


def test_slices_stand_side_by_side_with_the_same_colours():
    domains = tv.Domain.slices(FRAME, ("age", "since"), over="city", resolution=9)
    recordings = [recorded(domain) for domain in domains.values()]
    film = tv.compare(recordings, dpi=60)
    assert film.labels == ["city = Lyon", "city = Paris", "city = Rome"]
    assert film[0].shape == (*film.shape, 3)
    figure = film.still()
    assert [ax.get_title(loc="left") for ax in figure.axes] == film.labels
    assert len({ax.get_xlim() + ax.get_ylim() for ax in figure.axes}) == 1
    with pytest.raises(tv.RecordingError, match="was recorded on Domain"):
        tv.compare(recordings, disagreement=True)
    other = recorded(tv.Domain.slice(FRAME, ("age", "size"), resolution=9))
    with pytest.raises(tv.RecordingError, match="was recorded on Domain"):
        tv.compare([recordings[0], other])


def test_a_line_across_categories_is_constant_in_each():
    recording = recorded(tv.Domain.slice(FRAME, ("city", "age"), resolution=9))
    classes = tv.kymograph(recording, (-0.5, 30), (2.5, 30), n_points=12).classes
    np.testing.assert_array_equal(classes[0], np.repeat([0, 1, 2], 4))


@pytest.mark.parametrize("features", [("city", "age"), ("age", "city")])
def test_contour_lines_do_not_follow_the_edges_of_categories(features):
    """A probability jumps from one city to the next; only within a city it crosses a level."""

    def of_age_in_rome(frame):
        in_rome = (frame["city"] == "Rome").to_numpy()
        share = np.where(in_rome, (frame["age"].to_numpy() - 10) / 60, 0.05)
        return np.stack([1 - share, share], axis=1)

    domain = tv.Domain.slice(FRAME, features, resolution=30)
    recording = recorded(domain, of_age_in_rome)
    ax = tv.animate(recording, mode=tv.modes.Probability(1, levels=(0.5,))).still().axes[0]
    ends = [patch.get_path().vertices for patch in ax.patches]
    places = np.concatenate(ends)
    city, age = places.T if features[0] == "city" else places.T[::-1]
    assert ((city > 1.5) & (city <= 2.5)).all()
    np.testing.assert_allclose(age, 40, atol=0.1)
