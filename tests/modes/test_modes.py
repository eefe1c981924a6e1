import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from trainviz import Mode, Palette, animate, register_mode
from trainviz.modes import MODES, Boundary, Region, find_mode
from trainviz.rendering.resample import Resampler

RGB = Palette.of(3, classes=["#ff0000", "#00ff00", "#0000ff"])
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
LABELS = arrays(np.int64, SHAPES, elements=st.integers(0, 2))


def one_hot(labels, n_classes=3):
    return (np.arange(n_classes)[:, None, None] == labels).astype(np.float32)


def plain(n_classes=3, palette=RGB):
    return find_mode(Region).bound(n_classes, palette, shade=False)


def two_sides(edge, width=20, steepness=0.3):
    """Classes 0 and 2 of three meet at a column; class 1 has no probability anywhere."""
    centres = np.arange(width) + 0.5
    right = np.clip(0.5 + steepness * (centres - edge), 0, 1)
    row = np.stack([1 - right, np.zeros(width), right]).astype(np.float32)
    return np.repeat(row[:, None], 5, axis=1)


def distance_to_line(pixels, a, b):
    """How far colours are from the mixtures of two others."""
    pixels, a, b = (np.asarray(color, dtype=float) for color in (pixels, a, b))
    share = np.clip(((pixels - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(pixels - (a + share[..., None] * (b - a)), axis=-1)


# A class index is never interpolated.


@given(labels=LABELS)
def test_a_border_shows_only_classes_that_meet_there(labels):
    image = plain().paint(one_hot(labels))
    height, width = labels.shape
    for row, column in np.ndindex(height, width):
        near = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert set(np.nonzero(image[row, column])[0]) <= set(near.ravel())


@pytest.mark.parametrize("n_classes", [3, 7])
@pytest.mark.parametrize("shade", [True, False])
def test_from_class_1_to_class_3_no_pixel_shows_class_2(n_classes, shade):
    palette = Palette.of(n_classes)
    probabilities = np.zeros((n_classes, 5, 20), dtype=np.float32)
    probabilities[:3] = two_sides(9.4)
    image = find_mode(Region).bound(n_classes, palette, shade=shade).paint(probabilities)
    if shade:
        # A shaded colour lies between the full one and the ground: three corners, one plane.
        corners = np.stack([palette.classes[0], palette.classes[2], palette.background]) * 1.0
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        away = (image - corners[0]) @ normal / np.linalg.norm(normal)
        second = (palette.classes[1] - corners[0]) @ normal / np.linalg.norm(normal)
        assert np.abs(away).max() < 1.5 < abs(second) / 10
    else:
        assert distance_to_line(image, palette.classes[0], palette.classes[2]).max() < 1
    # There is a border to speak of.
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2


@given(labels=LABELS)
def test_inside_a_plain_region_is_the_colour_of_its_class(labels):
    image = plain().paint(one_hot(labels))
    padded = np.pad(labels, 1, mode="edge")
    height, width = labels.shape
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    inside = np.all(np.array(around) == labels, axis=0)
    np.testing.assert_array_equal(image[inside], RGB.classes[labels[inside]])


def test_a_border_is_mixed_by_the_share_of_the_pixel_that_each_side_covers():
    for edge in np.linspace(9, 10, 9):
        blue = plain().paint(two_sides(edge))[2, :, 2] / 255.0
        assert blue[:8].max() == 0
        assert blue[12:].min() == 1
        assert abs((1 - blue).sum() - edge) <= 0.25


def test_a_border_moves_smoothly():
    places = [(255 - plain().paint(two_sides(edge))[2, :, 2]).sum() for edge in (9, 9.3, 9.6, 10)]
    assert places == sorted(set(places))


def test_plain_regions_do_not_tell_how_sure_the_model_is():
    sure, unsure = np.full((2, 2, 4, 4), 0.1, dtype=np.float32)
    sure[0], unsure[0] = 0.9, 0.55
    unsure[1] = 0.45
    palette = Palette.of(2)
    for probabilities in (sure, unsure):
        image = plain(2, palette).paint(probabilities)
        assert (image == palette.classes[0]).all()


@pytest.mark.parametrize("dark", [False, True])
def test_shaded_regions_fade_to_the_ground_where_the_model_is_unsure(dark):
    palette = Palette.of(2, dark=dark)
    ramp = np.linspace(0.5, 1, 12, dtype=np.float32)[None]
    image = find_mode(Region).bound(2, palette).paint(np.stack([ramp, 1 - ramp])).astype(float)
    ground = np.linalg.norm(image[0] - palette.background, axis=-1)
    assert (np.diff(ground) > 0).all()
    assert ground[0] > 0
    # Even the surest region differs from the full colour of the data points.
    assert np.linalg.norm(image[0, -1] - palette.classes[0]) > 40


def test_many_classes_do_not_change_the_picture():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (60, 60))
    palette = Palette.of(200)
    few = find_mode(Region).bound(
        2, Palette.of(2, classes=list(palette.classes / 255)), shade=False
    )
    many = find_mode(Region).bound(200, palette, shade=False)
    np.testing.assert_array_equal(many.paint(one_hot(labels, 200)), few.paint(one_hot(labels, 2)))


# A colour means the same in every frame.


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_boundary_limits_are_the_range_of_a_highest_probability(n_classes):
    mode = find_mode(Boundary).bound(n_classes, Palette.of(n_classes, cmap="viridis"))
    assert mode.limits == (1 / n_classes, 1.0)
    lowest = np.full((n_classes, 2, 2), 1 / n_classes, dtype=np.float32)
    assert (mode.paint(lowest) == mode.palette.sequential[0]).all()
    highest = one_hot(np.zeros((2, 2), dtype=int), n_classes)
    assert (mode.paint(highest) == mode.palette.sequential[-1]).all()


@given(
    share=st.floats(0.5, 1, width=32),
    others=arrays(np.float32, 6, elements=st.floats(0.5, 1, width=32)),
)
def test_the_same_probability_has_the_same_colour_in_every_map(share, others):
    mode = find_mode(Boundary).bound(2, Palette.of(2))
    alone = np.full((1, 6), share, dtype=np.float32)
    among = others[None].copy()
    among[0, 0] = share
    colors = [mode.paint(np.stack([top, 1 - top]))[0, 0] for top in (alone, among)]
    np.testing.assert_array_equal(*colors)


def test_a_higher_probability_is_further_along_the_colormap():
    mode = find_mode(Boundary).bound(2, Palette.of(2, cmap="gray"))
    top = np.linspace(0.5, 1, 256, dtype=np.float32)[None]
    image = mode.paint(np.stack([top, 1 - top]))
    np.testing.assert_array_equal(image[0, :, 0], np.arange(256))


@given(seed=st.integers(0, 1000))
def test_boundary_does_not_tell_the_classes_apart(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), (5, 6)).astype(np.float32).transpose(2, 0, 1)
    mode = find_mode(Boundary).bound(4, Palette.of(4))
    shuffled = probabilities[rng.permutation(4)]
    np.testing.assert_array_equal(mode.paint(probabilities), mode.paint(shuffled))


# From the grid to the picture.

GRIDS = st.tuples(st.integers(2, 9), st.integers(2, 9))
PIXELS = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(grid=GRIDS, pixels=PIXELS, seed=st.integers(0, 100))
def test_resampling_is_bilinear(grid, pixels, seed):
    values = np.random.default_rng(seed).random((2, *grid)).astype(np.float32)
    places = np.meshgrid(
        *((np.arange(n) + 0.5) / n * (points - 1) for n, points in zip(pixels, grid, strict=True)),
        indexing="ij",
    )
    expected = [map_coordinates(values[c], places, order=1)[::-1] for c in range(2)]
    resampled = Resampler(grid, pixels)(values)
    assert resampled.dtype == np.float32
    assert np.allclose(resampled, expected, atol=1e-6)


@given(pixels=PIXELS)
def test_a_ramp_stays_a_ramp(pixels):
    x, y = np.meshgrid(np.linspace(-1, 3, 7), np.linspace(5, 9, 4))
    height, width = pixels
    across, up = Resampler((4, 7), pixels)(np.stack([x, y]).astype(np.float32))
    assert np.allclose(across, -1 + 4 * (np.arange(width) + 0.5) / width, atol=1e-5)
    assert np.allclose(up[:, 0], (9 - 4 * (np.arange(height) + 0.5) / height), atol=1e-5)


def test_pixels_that_lie_on_grid_points_show_their_values():
    values = np.random.default_rng(0).random((3, 9, 13)).astype(np.float32)
    picture = Resampler((9, 13), (4, 6))(values)
    np.testing.assert_array_equal(picture, values[:, 1::2, 1::2][:, ::-1])


def test_row_0_of_the_picture_is_the_upper_end_of_the_window():
    values = np.zeros((1, 5, 5), dtype=np.float32)
    values[0, -1] = 1
    picture = Resampler((5, 5), (20, 20))(values)
    assert picture[0, 0].min() > 0.8
    assert picture[0, 10:].max() == 0


@given(grid=GRIDS, pixels=PIXELS, seed=st.integers(0, 100))
def test_resampled_maps_are_class_probabilities(grid, pixels, seed):
    raw = np.random.default_rng(seed).dirichlet([0.1] * 3, grid)
    picture = Resampler(grid, pixels)(raw.transpose(2, 0, 1).astype(np.float32))
    assert (picture > -1e-6).all()
    assert np.allclose(picture.sum(axis=0), 1, atol=1e-5)


# Modes of one's own.


class Certainty(Mode):
    name, guide, label = "certainty", "scale", "certainty"

    def paint(self, probabilities):
        return self.scale(probabilities.max(axis=0) - probabilities.min(axis=0))


@pytest.mark.usefixtures("clean_modes")
def test_a_registered_mode_is_found_by_its_name(recording):
    assert register_mode(Certainty) is Certainty
    assert isinstance(find_mode("certainty").bound(2, Palette.of(2)), Certainty)
    film = animate(recording, mode="certainty", figsize=(5, 4), dpi=50)
    np.testing.assert_array_equal(
        film[1], animate(recording, mode=Certainty, figsize=(5, 4), dpi=50)[1]
    )


def test_values_outside_the_limits_have_the_colours_of_their_ends():
    mode = find_mode(Certainty).bound(2, Palette.of(2))
    image = mode.scale(np.array([[-1.0, 0.0, 1.0, 7.0]], dtype=np.float32))
    ends = mode.palette.sequential[[0, 0, -1, -1]]
    np.testing.assert_array_equal(image[0], ends)


@pytest.mark.parametrize("thing", [int, "region", object(), type("Nameless", (Mode,), {})])
def test_only_named_modes_are_registered(thing):
    before = dict(MODES)
    with pytest.raises(TypeError, match="expected a subclass of Mode with a name"):
        register_mode(thing)
    assert before == MODES


@pytest.mark.parametrize("mode", ["regions", None, ["region"], int])
def test_an_unknown_mode_is_told_with_the_known_ones(mode):
    with pytest.raises(ValueError, match=r"mode=.*'boundary', .*'region', .* or a mode such as"):
        find_mode(mode).bound(2, Palette.of(2))


@pytest.mark.parametrize("dark", [False, True])
def test_the_grey_of_all_other_classes_is_no_classes_colour(dark):
    colors = Palette.of(8, dark=dark).classes.astype(int)
    # Grey is where red, green and blue are nearly the same.
    assert (np.ptp(colors, axis=1) > 60).all()
