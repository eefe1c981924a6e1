"""Probability mode: from the ground to the colour of the class, or a colormap of one's own."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap

from trainviz import Domain, Recorder, animate
from trainviz.modes import Probability


def ends(film):
    return film.mode.palette.sequential[[0, -1]].tolist()


@pytest.mark.parametrize("name", ["ash", "birch", "cedar"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_class_has_its_own_colour_where_it_is_certain(recording, name, dark):
    film = animate(recording, mode=Probability(name), dark=dark)
    colors = dict(film.mode.legend(recording))
    ground = [16, 18, 22] if dark else [255, 255, 255]
    assert ends(film) == [ground, colors[name].tolist()]
    rows = recording.data_labels == recording.class_names.index(name)
    assert (film.mode.point_colors(recording)[rows] == colors[name]).all()
    painted = film.painter((12, 16))(film._timeline[len(film) - 1])
    sure = recording[-1].probabilities[recording.class_names.index(name)][::-1] > 0.999
    assert (np.abs(painted[sure].astype(int) - colors[name]) <= 1).all()


def test_the_colour_is_that_of_the_palette(recording):
    film = animate(recording, mode=Probability("birch"), palette=["red", "#00ff00", "blue"])
    assert ends(film) == [[255, 255, 255], [0, 255, 0]]


def test_the_binary_default_has_the_second_colour(make_recording):
    recording = make_recording(2)
    film = animate(recording, mode="probability")
    assert ends(film)[1] == film.mode.palette.classes[1].tolist()


OWN = LinearSegmentedColormap.from_list("own", ["white", "black"])


@pytest.mark.parametrize(
    "cmap", ["magma", matplotlib.colormaps["magma"], OWN], ids=["name", "object", "own"]
)
def test_a_colormap_of_ones_own_counts(recording, cmap):
    table = matplotlib.colormaps[cmap] if isinstance(cmap, str) else cmap
    wanted = [[round(255 * part) for part in table(end)[:3]] for end in (0.0, 1.0)]
    by_mode = animate(recording, mode=Probability("ash", cmap=cmap))
    by_film = animate(recording, mode=Probability("ash"), cmap=cmap)
    assert ends(by_mode) == ends(by_film) == wanted
    assert (by_mode[0] == by_film[0]).all()


def test_an_unknown_colormap_is_refused_at_once():
    with pytest.raises(ValueError, match="'magmma': neither matplotlib nor colorcet"):
        Probability("ash", cmap="magmma")


def test_the_panels_of_all_classes_share_a_colour_bar(recording):
    viridis = [round(255 * part) for part in matplotlib.colormaps["viridis"](1.0)[:3]]
    film = animate(recording, mode=Probability("ash"))
    pictures = [ax.images[0].get_array() for ax in film.panels().axes if ax.get_title()]
    for picture, plane in zip(pictures, recording[-1].probabilities, strict=True):
        best = np.asarray(picture).reshape(-1, picture.shape[-1])[:, :3]
        assert (np.abs(best.astype(int) - viridis).sum(axis=1).min() <= 12) == (plane.max() > 0.99)


def test_points_of_independent_labels_have_the_ends_of_the_colormap():
    data = ([[0.1, 0.1], [0.9, 0.9]], [[1, 0], [0, 1]])
    recorder = Recorder(Domain((0, 1), (0, 1), points_per_axis=9), output="multilabel", data=data)
    recorder.capture(lambda X: X, epoch=0)
    film = animate(recorder.recording, mode=Probability(0))
    colors = film.mode.point_colors(recorder.recording).tolist()
    assert colors == ends(film)[::-1]
    assert ends(film)[1] == [round(255 * part) for part in matplotlib.colormaps["viridis"](1.0)[:3]]
