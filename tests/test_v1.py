"""The two functions of version 1.0: their names, defaults and return values are kept."""

import base64
import random
import re
import runpy
import subprocess
from itertools import pairwise

import imageio_ffmpeg
import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

from trainviz import make_map, plot_maps

WINDOW = {"xlim": (-3, 15), "ylim": (-5, 14)}
COARSE = {**WINDOW, "axial_gradation": 0.5}
SMALL = {"figsize": (0.8, 0.8), "dpi": 50}
GRAY = {"colormap": "gray", **SMALL}


def make_model(n_classes=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, n_classes))


def softmax_of(model, shape, xlim, ylim):
    """What the model says on the window's grid, class last, asked without trainviz."""
    y, x = np.meshgrid(np.linspace(*ylim, shape[0]), np.linspace(*xlim, shape[1]), indexing="ij")
    with torch.no_grad():
        points = torch.tensor(np.stack([x, y], axis=-1), dtype=torch.float32)
        return torch.softmax(model(points), dim=-1).numpy()


# make_map: shapes.


@given(
    corner=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    size=st.tuples(st.floats(0.5, 30), st.floats(0.5, 30)),
    gradation=st.floats(0.2, 3),
)
def test_a_map_has_as_many_points_as_gradations_fit_into_the_window(corner, size, gradation):
    (x0, y0), (x1, y1) = corner, np.add(corner, size)
    shape = int((y1 - y0) / gradation), int((x1 - x0) / gradation)
    assume(min(shape) >= 2)
    made = make_map(nn.Linear(2, 3), (x0, x1), (y0, y1), axial_gradation=gradation)
    assert made.shape == shape


def test_by_default_neighbouring_points_are_a_twentieth_apart():
    assert make_map(nn.Linear(2, 3), **WINDOW).shape == (int(19 / 0.05), int(18 / 0.05))


@pytest.mark.parametrize("points", [2, 37])
def test_a_square_map_has_the_asked_points_whatever_the_gradation(points):
    made = make_map(nn.Linear(2, 3), **COARSE, square_axis_points=points)
    assert made.shape == (points, points)


# make_map: values.


def test_a_boundary_map_holds_the_highest_class_probability():
    model = make_model()
    made = make_map(model, **COARSE)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, softmax_of(model, (38, 36), **WINDOW).max(-1), atol=1e-6)


def test_a_region_map_holds_the_index_of_the_likeliest_class():
    model = make_model()
    made = make_map(model, map_type="region", **COARSE)
    assert made.dtype == np.float64
    assert len(np.unique(made)) > 2
    np.testing.assert_array_equal(made, softmax_of(model, (38, 36), **WINDOW).argmax(-1))


def test_row_0_is_the_lower_end_of_the_window_and_column_0_its_left():
    class Quadrant(nn.Module):
        def forward(self, x):
            return 9.0 * nn.functional.one_hot((x[:, 0] > 0) + 2 * (x[:, 1] > 0).long(), 4)

    made = make_map(Quadrant(), (-1, 1), (-1, 1), "region", square_axis_points=4)
    assert made[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 1, 2, 3]


@given(weight=st.floats(-5, 5), bias=st.floats(-5, 5), n_classes=st.integers(2, 6))
def test_a_highest_probability_lies_between_an_even_share_and_certainty(weight, bias, n_classes):
    model = nn.Linear(2, n_classes)
    with torch.no_grad():
        model.weight[0], model.bias[0] = weight, bias
    made = make_map(model, (-4, 4), (-4, 4), square_axis_points=5)
    assert (made >= 1 / n_classes - 1e-6).all()
    assert (made <= 1 + 1e-6).all()


def test_one_column_is_a_binary_model():
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight[:], model.bias[:] = torch.tensor([[2.0, 0.0]]), 0.0
    window = {"xlim": (-1, 1), "ylim": (-1, 1), "square_axis_points": 3}
    sure = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(make_map(model, **window), [[sure, 0.5, sure]] * 3, atol=1e-6)
    assert make_map(model, map_type="region", **window)[:, [0, 2]].tolist() == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("output", "last"),
    [("probabilities", nn.Softmax(-1)), ("log_probabilities", nn.LogSoftmax(-1))],
)
def test_models_that_end_in_a_softmax_are_taken_as_they_are(output, last):
    model = make_model()
    made = make_map(nn.Sequential(model, last), **COARSE, output=output)
    np.testing.assert_allclose(made, make_map(model, **COARSE), atol=1e-6)


def test_what_has_predict_proba_is_taken_too():
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = LogisticRegression().fit(X, X[:, 0] > X[:, 1])
    made = make_map(model, (-1, 1), (-1, 1), "region", square_axis_points=5)
    corners = [(-1, -0.5), (1, -0.5), (-1, 1)]
    assert made[[1, 1, 4], [0, 4, 0]].tolist() == model.predict(corners).tolist()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_is_asked_in_its_own_precision(dtype):
    expected = make_map(make_model(), **COARSE)
    made = make_map(make_model().to(dtype), **COARSE)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, expected, atol=1e-6 if dtype == torch.float64 else 0.05)


# make_map: epochs.


def test_only_epochs_that_are_multiples_of_the_frequency_give_maps():
    maps = [
        make_map(nn.Linear(2, 3), **COARSE, epoch_num=epoch, epoch_freq=3) for epoch in range(8)
    ]
    assert [made is not None for made in maps] == [epoch % 3 == 0 for epoch in range(8)]


def test_on_a_skipped_epoch_the_model_is_not_asked():
    asked = []
    model = nn.Linear(2, 3)
    model.register_forward_hook(lambda *_: asked.append(1))
    assert make_map(model, **COARSE, epoch_num=5, epoch_freq=10) is None
    assert asked == []
    assert make_map(model, **COARSE, epoch_num=10, epoch_freq=10) is not None
    assert asked


@pytest.mark.parametrize(
    ("given_one", "missing"), [("epoch_num", "epoch_freq"), ("epoch_freq", "epoch_num")]
)
def test_one_epoch_argument_without_the_other_is_refused(given_one, missing):
    with pytest.raises(ValueError, match=f"{missing} is missing: give epoch_num and epoch_freq"):
        make_map(nn.Linear(2, 3), **COARSE, **{given_one: 10})


# make_map: errors.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"map_type": "regions"}, "map_type='regions': expected 'boundary' or 'region'"),
        ({"map_type": None}, "map_type=None: expected"),
        ({"epoch_num": 3, "epoch_freq": 0}, "epoch_freq=0: expected at least 1"),
        ({"axial_gradation": 0}, "axial_gradation=0: expected a positive distance"),
        ({"axial_gradation": float("nan")}, "axial_gradation=nan: expected"),
        ({"axial_gradation": "fine"}, "axial_gradation='fine': expected"),
        ({"square_axis_points": 1}, "got 1, a grid needs at least 2 points"),
        ({"xlim": (15, -3)}, r"xlim=\(15, -3\): .*did you mean \(-3, 15\)"),
        ({"ylim": (0, float("inf"))}, r"ylim=\(0, inf\): both limits must be finite"),
        ({"output": "scores"}, "output='scores': expected one of logits"),
    ],
)
def test_a_wrong_argument_of_make_map_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        make_map(nn.Linear(2, 3), **{**COARSE, **options})


@pytest.mark.parametrize("limits", [3, "ab", (1, 2, 3)])
def test_what_are_no_limits_is_told(limits):
    with pytest.raises(TypeError, match=r"xlim=.*: expected two numbers"):
        make_map(nn.Linear(2, 3), **{**COARSE, "xlim": limits})


def test_what_is_no_model_is_told():
    with pytest.raises(TypeError, match=r"model=function: expected a torch\.nn\.Module"):
        make_map(lambda points: points, **COARSE)


def test_a_model_that_has_diverged_is_told():
    model = nn.Linear(2, 3)
    nn.init.constant_(model.weight, float("nan"))
    with pytest.raises(ValueError, match=r"NaN or infinities .*has the training diverged"):
        make_map(model, **COARSE)


# make_map: the model is left alone.


class Noisy(nn.Module):
    """A model that notices in which mode it is asked, and draws from all random streams."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 3)
        self.noted = []

    def forward(self, x):
        modes = {part.training for part in self.modules()}
        self.noted.append((modes, torch.is_grad_enabled()))
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        return self.head(self.body(x))


def test_the_model_is_asked_in_eval_mode_without_gradients():
    model = Noisy().train()
    first = make_map(model, **COARSE)
    assert all(note == ({False}, False) for note in model.noted)
    model.eval()
    np.testing.assert_array_equal(make_map(model, **COARSE), first)
    assert not model.training


def test_modes_gradients_weights_and_buffers_are_as_before():
    model = Noisy().train()
    model.body[1].eval()  # a frozen normalisation layer
    model.head.bias.requires_grad_(False)
    model(torch.randn(8, 2)).sum().backward()
    modes = [part.training for part in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [p.grad if p.grad is None else p.grad.clone() for p in model.parameters()]
    make_map(model, **COARSE)
    assert [part.training for part in model.modules()] == modes == [True, True, True, False,
                                                                    True, True]  # fmt: skip
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None) == (parameter is model.head.bias)
        assert grad is None or torch.equal(parameter.grad, grad)


def test_random_streams_go_on_as_if_no_map_had_been_made():
    def draw(with_map):
        torch.manual_seed(1), np.random.seed(1), random.seed(1)  # noqa: NPY002
        if with_map:
            make_map(model, **COARSE)
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    model = Noisy()
    assert draw(with_map=True) == draw(with_map=False)


def test_training_with_maps_is_bit_for_bit_training_without():
    def train(with_maps):
        torch.manual_seed(0)
        model = Noisy()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            if with_maps:
                make_map(model, **COARSE)
            points = torch.randn(16, 2)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(points), (points[:, 0] > 0).long()).backward()
            optimizer.step()
        return model.state_dict()

    alone, watched = train(with_maps=False), train(with_maps=True)
    for name, value in alone.items():
        assert torch.equal(watched[name], value), name


# A whole script of version 1.0.

SCRIPT = """
import numpy as np
import torch
from torch import nn

from trainviz import make_map, plot_maps

torch.manual_seed(0)
points = torch.randn(90, 2)
labels = (points[:, 0] > 0).long() + (points[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
maps = []
for epoch in range(11):
    model.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(points), labels).backward()
    optimizer.step()
    map = make_map(model, (-3, 3), (-2, 2), map_type={map_type!r}, axial_gradation=0.1,
                   epoch_num=epoch, epoch_freq=2)
    {keep}
maps = np.array(maps, dtype=object)
np.save("maps.npy", maps)
maps = np.load("maps.npy", allow_pickle=True)
animation = plot_maps(maps, "x.mp4", interpolation_factor=4, figsize=(2, 2), dark=True, fps=20)
video = animation.to_html5_video()
"""


# Without the skipped epochs numpy makes one array of three dimensions of the maps.
@pytest.mark.parametrize("keep", ["maps.append(map)", "if map is not None: maps.append(map)"])
@pytest.mark.parametrize("map_type", ["boundary", "region"])
def test_a_script_of_version_1_runs_unchanged(tmp_path, monkeypatch, map_type, keep):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT.format(map_type=map_type, keep=keep))
    done = runpy.run_path("script.py")
    assert len(done["maps"]) == (11 if keep.startswith("maps") else 6)
    frames, meta = decode(tmp_path / "x.mp4")
    assert frames.shape == (20, 200, 200, 3)
    assert meta["fps"] == 20
    assert frames[:, :3].max() < 8  # the dark ground
    assert frames[-1].max() > 100
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 100
    assert done["video"].startswith("<video ")
    (tmp_path / "inside.mp4").write_bytes(
        base64.b64decode(re.search(r'base64,([^"]+)', done["video"])[1])
    )
    assert len(decode(tmp_path / "inside.mp4")[0]) == 20


def decode(path):
    """The frames of a video, and what its header says."""
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    reader.close()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo",
               "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    width, height = meta["size"]
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3), meta


# plot_maps: frames.


def even_map(value):
    return np.full((4, 4), float(value))


def centre(frame):
    return frame[frame.shape[0] // 2, frame.shape[1] // 2].tolist()


@pytest.fixture(scope="session")
def film_path(tmp_path_factory):
    # Of all formats this one is written the fastest.
    return tmp_path_factory.mktemp("films") / "film.webp"


@pytest.fixture
def centres(film_path):
    """The colours that the middle of a film has, frame by frame."""

    def play(maps, **options):
        return [centre(frame) for frame in plot_maps(maps, film_path, **{**GRAY, **options})]

    return play


@given(n=st.integers(2, 8), factor=st.integers(2, 7))
@settings(max_examples=20)
def test_n_maps_become_n_minus_1_times_the_factor_frames_and_none_is_shown_twice(
    film_path, n, factor
):
    maps = [even_map(value) for value in np.linspace(0.3, 1, n)]
    film = plot_maps(maps, film_path, interpolation_factor=factor, **GRAY)
    with Image.open(film_path) as picture:
        assert len(film) == len(list(film)) == picture.n_frames == (n - 1) * factor
    shades = [centre(frame)[0] for frame in film]
    assert all(one < next_one for one, next_one in pairwise(shades))
    # From the first map to the last, and by every one between.
    for shade in np.linspace(0, 255, n):
        assert min(abs(shade - shown) for shown in shades) <= 1


@pytest.mark.parametrize("n", [1, 2, 5])
def test_without_a_factor_each_map_is_a_frame(centres, n):
    assert len(centres([even_map(1 / value) for value in range(1, n + 1)])) == n


def test_a_factor_of_one_still_ends_with_the_last_map(centres):
    shades = centres([even_map(v) for v in (0.2, 0.4, 0.7, 1)], interpolation_factor=1)
    assert len(shades) == 3
    assert (shades[0], shades[-1]) == ([0, 0, 0], [255, 255, 255])


@pytest.mark.parametrize("factor", [None, 3])
def test_a_single_map_is_a_single_frame(film_path, factor):
    assert len(plot_maps([even_map(0.5)], film_path, interpolation_factor=factor, **SMALL)) == 1


def test_maps_of_skipped_epochs_are_left_out(centres):
    values = [0.5, 0.7, 1.0]
    maps = [None, even_map(values[0]), None, None, *map(even_map, values[1:]), None]
    assert centres(maps) == centres([even_map(value) for value in values])


def test_the_maps_themselves_are_not_changed(film_path):
    maps = [np.random.default_rng(seed).uniform(0.3, 1, (4, 5)) for seed in range(3)]
    before = [array.copy() for array in maps]
    plot_maps(maps, film_path, 3, "geometric", **SMALL)
    np.testing.assert_array_equal(maps, before)


@given(a=st.floats(0.3, 0.6), b=st.floats(0.7, 1))
@settings(max_examples=15)
def test_linear_interpolation_goes_straight_from_value_to_value(film_path, a, b):
    film = plot_maps([even_map(a), even_map(b)], film_path, interpolation_factor=5, **GRAY)
    shades = [centre(frame)[0] for frame in film]
    np.testing.assert_allclose(shades, np.linspace(0, 255, 5), atol=1)


def test_linear_interpolation_is_of_double_precision(centres):
    # Single precision takes the other side of 178.5.
    shades = centres([even_map(0), even_map(1), even_map(0.5)], interpolation_factor=11)[:11]
    assert [shade[0] for shade in shades] == np.rint(np.linspace(0, 1, 11) * 255).tolist()


@given(a=st.floats(0.01, 0.4), b=st.floats(0.6, 1))
@settings(max_examples=15)
def test_geometric_interpolation_goes_from_value_to_value_by_equal_ratios(film_path, a, b):
    maps = [even_map(a), even_map(b)]
    film = plot_maps(maps, film_path, 5, interpolation_type="geometric", **GRAY)
    values = a + np.array([centre(frame)[0] for frame in film]) / 255 * (b - a)
    np.testing.assert_allclose(values, np.geomspace(a, b, 5), atol=(b - a) / 255)


def test_geometric_interpolation_is_safe_at_zeros(centres):
    maps = [even_map(value) for value in (0, 0.5, 0, 1)]
    with np.errstate(all="raise"):
        shown = centres(maps, interpolation_factor=4, interpolation_type="geometric")
    # The maps themselves, zeros too, are shown as they are; between them there is next to nothing.
    assert [shown[frame][0] for frame in (0, 3, 7, 11)] == [0, 128, 0, 255]
    assert [shown[frame][0] for frame in (2, 5, 9)] == [0, 0, 0]


# plot_maps: colours.


def test_a_value_keeps_its_colour_through_the_film(centres):
    # Of old each frame's own lowest and highest value were the limits.
    split = np.array([[0.4] * 4] * 2 + [[0.6] * 4] * 2)
    shades = centres([even_map(0.5), even_map(0.3), even_map(0.5), even_map(0.8), even_map(0.5)])
    assert shades[0] == shades[2] == shades[4] == [102, 102, 102]
    assert centres([split, even_map(0.5), even_map(0.3), even_map(0.8)])[1] == [102, 102, 102]


@given(seed=st.integers(0, 99))
@settings(max_examples=15)
def test_the_limits_are_the_lowest_and_the_highest_value_of_all_maps(film_path, seed):
    maps = np.random.default_rng(seed).uniform(0.2, 1, (3, 6, 6))
    inside = np.stack([f[4:-4, 4:-4, 0] for f in plot_maps(maps, film_path, **GRAY)])
    lowest, highest = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    for limits, found in ((lowest, inside.min((1, 2))), (highest, inside.max((1, 2)))):
        expected = (limits - maps.min()) / np.ptp(maps) * 255
        np.testing.assert_allclose(found, expected, atol=0.51)


def test_the_default_colormap_is_dark_where_the_model_is_sure(film_path):
    frames = list(plot_maps([even_map(0.3), even_map(1)], film_path, **SMALL))
    ends = matplotlib.colormaps["plasma_r"]([0.0, 1.0])[:, :3] * 255
    np.testing.assert_allclose([centre(frame) for frame in frames], ends, atol=0.51)


@pytest.mark.parametrize("cmap", ["viridis", matplotlib.colormaps["viridis"]])
def test_the_colormap_is_a_name_or_an_object(centres, cmap):
    ends = matplotlib.colormaps["viridis"]([0.0, 1.0])[:, :3] * 255
    shown = centres([even_map(0.3), even_map(1)], colormap=cmap)
    np.testing.assert_allclose(shown, ends, atol=0.51)


PRIMARY = ["#000000", "#ff0000", "#00ff00", "#0000ff"]


@pytest.mark.parametrize("kind", ["linear", "geometric"])
def test_between_two_classes_a_region_film_never_shows_a_class_in_between(centres, kind):
    shown = centres(
        [even_map(1), even_map(3), even_map(0)], interpolation_factor=4, interpolation_type=kind,
        colormap=PRIMARY,
    )  # fmt: skip
    # Red, to blue in three steps, to black in four: colours are mixed, no index is.
    path = [(255, 0), (170, 85), (85, 170), (0, 255), (0, 191), (0, 128), (0, 64), (0, 0)]
    assert shown == [[red, 0, blue] for red, blue in path]


@pytest.mark.parametrize("kind", ["linear", "geometric"])
def test_the_regions_of_two_classes_cross_fade_in_colours_of_their_own(centres, kind):
    shown = centres(
        [even_map(0), even_map(1)], interpolation_factor=3, interpolation_type=kind,
        colormap=["red", "blue"],
    )  # fmt: skip
    assert shown == [[255, 0, 0], [128, 0, 128], [0, 0, 255]]


def test_within_a_region_map_there_are_only_the_colours_of_its_classes(film_path):
    regions = np.repeat([[0.0, 3.0, 1.0, 3.0]], 4, axis=0)
    (frame,) = plot_maps([regions], film_path, colormap=PRIMARY, figsize=(2, 2), dpi=37)
    colors = {tuple(color) for color in frame.reshape(-1, 3).tolist()}
    assert colors == {(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)}


def test_a_class_has_the_same_colour_whatever_else_is_on_the_map(film_path):
    maps = [even_map(2), np.repeat([[2.0, 2.0, 2.0, 6.0]], 4, axis=0), even_map(2)]
    assert len({tuple(centre(frame)) for frame in plot_maps(maps, film_path, **SMALL)}) == 1


def test_a_film_of_one_value_is_of_one_colour(centres):
    assert len({tuple(color) for color in centres([even_map(0.7)] * 3)}) == 1


# plot_maps: the picture.


@pytest.mark.parametrize(("dark", "ground"), [(True, 0), (False, 255)])
def test_the_ground_around_the_map_is_dark_or_light(film_path, dark, ground):
    (frame,) = plot_maps([even_map(0.5)], film_path, dark=dark, **SMALL)
    rim = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
    assert (rim == ground).all()
    assert (frame != ground).any(axis=-1).mean() > 0.8


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (480, 640)),
        ({"dpi": 50}, (240, 320)),
        ({"figsize": (3, 2)}, (200, 300)),
        ({"figsize": (3.009, 2.011)}, (202, 300)),  # encoders want even numbers
    ],
)
def test_frames_are_of_the_asked_size(tmp_path, options, shape):
    plot_maps([even_map(0.3), even_map(1)], tmp_path / "film.mp4", **options)
    frames, _ = decode(tmp_path / "film.mp4")
    assert frames.shape[1:3] == shape


def test_a_map_keeps_its_proportions_and_stands_upright(film_path):
    array = np.full((10, 30), 0.5)
    array[0, 0], array[-1, -1] = 0.0, 1.0
    (frame,) = plot_maps([array], film_path, colormap="gray", dark=False, figsize=(4, 4), dpi=50)
    rows, columns = np.nonzero((frame != 255).any(axis=-1))
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    assert (right - left) / (bottom - top) == pytest.approx(3, abs=0.1)
    assert (right - left) / 200 > 0.9  # and is as large as the frame allows
    assert frame[bottom, left].tolist() == [0, 0, 0]  # row 0 is the lower end
    assert frame[top, left].tolist() == [128, 128, 128]


# plot_maps: what is written.


@pytest.fixture
def maps():
    """Noise, which costs an encoder many bits."""
    return list(np.random.default_rng(0).uniform(0.3, 1, (6, 40, 40)))


def probe(path):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".html"])
def test_the_suffix_of_the_path_says_what_is_written(tmp_path, suffix):
    starts = {".mp4": b"ftyp", ".gif": b"GIF8", ".html": b"<!doctype html>"}
    path = tmp_path / f"film{suffix}"
    plot_maps([even_map(0.3), even_map(1)], str(path), **SMALL)
    assert starts[suffix] in path.read_bytes()[:20]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "fps"),
    [
        ({}, 100),
        ({"frame_interval": 40}, 25),
        ({"fps": 12}, 12),
        ({"frame_interval": 40, "fps": 12}, 12),
        ({"frame_interval": 40, "fps": None}, 25),
    ],
)
def test_the_speed_is_the_frame_interval_or_the_writers_fps(tmp_path, maps, options, fps):
    plot_maps(maps, tmp_path / "film.mp4", **SMALL, **options)
    frames, meta = decode(tmp_path / "film.mp4")
    assert meta["fps"] == fps
    assert len(frames) == 6


@pytest.mark.parametrize(
    ("codec", "found"), [("h264", "h264"), ("libx264", "h264"), ("mpeg4", "mpeg4")]
)
def test_the_codec_is_honoured(tmp_path, maps, codec, found):
    plot_maps(maps, tmp_path / "film.mp4", codec=codec, **SMALL)
    assert decode(tmp_path / "film.mp4")[1]["codec"].startswith(found)


def test_the_bitrate_is_honoured_in_kilobits(tmp_path, maps):
    def size(**options):
        plot_maps(maps * 5, tmp_path / "film.mp4", fps=10, figsize=(3, 3), dpi=50, **options)
        return (tmp_path / "film.mp4").stat().st_size

    assert size(bitrate=60) < size(bitrate=600) / 2
    # matplotlib's own default.
    assert size(bitrate=-1) == size(bitrate=None) == size()


def test_metadata_and_extra_arguments_reach_the_encoder(tmp_path, maps):
    metadata = {"title": "Two moons", "artist": "A. Turing"}
    plot_maps(maps, tmp_path / "film.mp4", metadata=metadata, **SMALL,
              extra_args=["-metadata", "comment=a rehearsal"])  # fmt: skip
    told = probe(tmp_path / "film.mp4")
    assert re.search(r"title +: Two moons", told)
    assert re.search(r"artist +: A\. Turing", told)
    assert re.search(r"comment +: a rehearsal", told)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".apng", ".webp", ".html"])
def test_progress_is_told_once_a_frame(tmp_path, maps, suffix):
    told = []
    plot_maps(
        maps, tmp_path / f"film{suffix}", interpolation_factor=2, **SMALL,
        progress_callback=lambda frame, total: told.append((frame, total)),
    )  # fmt: skip
    assert told == [(frame, 10) for frame in range(10)]


@pytest.mark.parametrize(
    "options",
    [
        {"writer": "ffmpeg"},
        {"writer": "pillow", "savefig_kwargs": {"facecolor": "black"}},
        {"extra_anim": None},
    ],
)
def test_other_arguments_of_matplotlibs_save_do_no_harm(tmp_path, maps, options):
    plot_maps(maps, tmp_path / "film.mp4", **SMALL, **options)
    assert len(decode(tmp_path / "film.mp4")[0]) == 6


def test_a_gif_takes_no_encoder_options_but_does_not_stumble_over_them(tmp_path, maps):
    plot_maps(maps, tmp_path / "film.gif", codec="h264", bitrate=900, metadata={"title": "x"},
              extra_args=["-preset", "slow"], fps=10, **SMALL)  # fmt: skip
    with Image.open(tmp_path / "film.gif") as picture:
        assert (picture.n_frames, picture.info["duration"]) == (6, 100)


def test_jupyter_shows_the_film_itself(film_path, maps):
    film = plot_maps(maps, film_path, **SMALL)
    assert film._repr_html_() == film.to_html5_video() == film.to_html5_video(embed_limit=20)
    assert film.to_html5_video().startswith('<video width="40" height="40"')


# plot_maps: errors.

NAN = np.full((4, 4), 0.5)
NAN[1, 2] = np.nan


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "maps is empty: append what make_map returns"),
        (np.array([]), "maps is empty"),
        ([None, None], r"no map \(2 entries, all None\): check epoch_num and epoch_freq"),
        ([even_map(1), np.ones((4, 5))], r"map 1 has the shape \(4, 5\), the first one \(4, 4\)"),
        ([None, even_map(1), np.ones((2, 2))], r"map 1 has the shape \(2, 2\)"),
        (even_map(1), r"map 0 has the shape \(4,\), .*: all maps of a film are two-dimensional"),
        ([np.ones((2, 4, 4))], r"map 0 has the shape \(2, 4, 4\)"),
        ([even_map(0.5), NAN], "map 1 holds NaN or infinities"),
        ([even_map(np.inf)], "map 0 holds NaN or infinities"),
    ],
)
def test_maps_that_make_no_film_are_told(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        plot_maps(wrong, tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation_type": "cubic"}, "interpolation_type='cubic': expected 'linear' or 'geo"),
        ({"interpolation_factor": 0}, "interpolation_factor=0: expected a whole number"),
        ({"interpolation_factor": 1.5}, "interpolation_factor=1.5: expected a whole number"),
        ({"interpolation_factor": True}, "interpolation_factor=True: expected a whole number"),
        ({"colormap": "plasmo"}, "colormap='plasmo': .*did you mean 'plasma'"),
        ({"colormap": 7}, "colormap=7: expected the name of a colormap"),
        ({"frame_interval": 0}, "frame_interval=0: expected milliseconds, above 0"),
        ({"frame_interval": "fast"}, "frame_interval='fast': expected milliseconds"),
        ({"fps": 0}, "fps=0: expected a positive number"),
        ({"fps": -30}, "fps=-30: expected a positive number"),
        ({"fps": "30"}, "fps='30': expected a positive number"),
        ({"dpi": 0}, "dpi=0: expected a positive number"),
        ({"dpi": "figure"}, "dpi='figure': expected a positive number"),
        ({"figsize": (4, 0)}, r"figsize=\(4, 0\): expected \(width, height\)"),
        ({"figsize": 4}, r"figsize=4: expected \(width, height\)"),
        ({"extra_anim": [object()]}, "extra_anim: other animations cannot be drawn"),
    ],
)
def test_a_wrong_argument_of_plot_maps_is_told(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        plot_maps([even_map(0.5), even_map(1)], tmp_path / "film.mp4", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_factor_is_told_of_a_single_map_too(tmp_path):
    with pytest.raises(ValueError, match="interpolation_factor=0: expected a whole number"):
        plot_maps([even_map(0.5)], tmp_path / "film.mp4", interpolation_factor=0)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_unknown_keyword_is_told_with_the_known_ones(tmp_path, suffix):
    with pytest.raises(TypeError, match=r"plot_maps\(\) has no argument 'colour'; .*fps, codec"):
        plot_maps([even_map(0.5)], tmp_path / f"film{suffix}", colour="red")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("film.avi", r"ends in '\.avi'; expected one of \.mp4 \.webm \.gif"),
        ("film", "has no suffix; expected one of"),
        ("missing/film.mp4", "folder .*missing' does not exist; make it first"),
    ],
)
def test_a_path_that_cannot_be_written_is_told(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        plot_maps([even_map(0.5)], tmp_path / name)


def test_too_few_colours_for_the_classes_are_told(tmp_path):
    with pytest.raises(ValueError, match="2 colours for 4 classes"):
        plot_maps([even_map(3)], tmp_path / "film.mp4", colormap=["red", "blue"])
