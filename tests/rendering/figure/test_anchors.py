from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage

from trainviz import Domain, Recorder, animate
from trainviz.rendering.figure.anchors import thumbnails

IMAGES = np.random.default_rng(0).random((3, 8, 8))


def recorded(domain, data=None):
    recorder = Recorder(domain, data=data)

    def predict(points):
        return 1 / (1 + np.exp(-(points.reshape(len(points), -1).sum(axis=1) - 20)))

    for epoch in range(2):
        recorder.capture(predict, epoch=epoch)
    return recorder.recording


def small_pictures(figure):
    """Return the pictures over the map, in pixels of the figure."""
    ax = figure.axes[0]
    found = sorted(ax.findobj(AxesImage), key=lambda image: image.get_zorder())[1:]
    return [image.get_window_extent() for image in found]


@pytest.mark.parametrize(
    "shape", [(8, 6), (1, 8, 6), (8, 6, 1), (8, 6, 3), (3, 8, 6)], ids=lambda shape: str(shape)
)
def test_images_of_every_layout_are_shown_upright(shape):
    samples = [np.zeros(shape), np.full(shape, 0.5), np.random.default_rng(1).random(shape)]
    for index, sample in enumerate(samples):
        row = sample[0] if shape[0] in (1, 3) else sample
        row[..., 0, :3] = 1 if shape[0] in (1, 3) or len(shape) == 2 else row[..., 0, :3]
        sample.flat[index] = 0.9
    found = thumbnails(Domain.through(*samples))
    assert [image.shape[:2] for image in found] == [(8, 6)] * 3
    for image, sample in zip(found, samples, strict=True):
        wanted = sample.transpose(1, 2, 0) if shape[0] == 3 else sample.reshape(image.shape)
        np.testing.assert_allclose(image, wanted)


@pytest.mark.parametrize("scale", [255, 16, 1, 0.01])
def test_thumbnails_span_black_to_white(scale):
    found = np.array(thumbnails(Domain.through(*(IMAGES * scale))))
    assert found.min() >= 0
    assert found.max() == pytest.approx(IMAGES.max() if scale == 1 else 1)


def test_normalised_images_keep_their_order_of_brightness():
    found = np.array(thumbnails(Domain.through(*(IMAGES - 0.5))))
    np.testing.assert_array_equal(np.argsort(found.ravel()), np.argsort(IMAGES.ravel()))


def test_of_several_inputs_the_image_is_shown():
    samples = [{"age": np.array([i * i]), "image": image} for i, image in enumerate(IMAGES)]
    assert [image.shape for image in thumbnails(Domain.through(*samples))] == [(8, 8)] * 3


@pytest.mark.parametrize("shape", [(64,), (1, 64), (2, 32), (4, 4, 4)])
def test_what_is_no_image_is_marked_alone(shape):
    domain = Domain.through(*IMAGES.reshape(3, *shape), resolution=20)
    assert thumbnails(domain) is None
    figure = animate(recorded(domain)).still()
    assert not small_pictures(figure)
    assert {"a", "b", "c"} <= {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize("options", [{}, {"figsize": (4, 3)}, {"dark": True, "mode": "boundary"}])
@pytest.mark.parametrize("margin", [0.25, 0.02])
@pytest.mark.parametrize("third", [IMAGES[2], IMAGES[0] + 0.05 * IMAGES[2]], ids=["wide", "flat"])
def test_thumbnails_stay_in_the_map_and_cover_neither_marks_nor_one_another(third, margin, options):
    domain = Domain.through(IMAGES[0], IMAGES[1], third, margin=margin, resolution=20)
    figure = animate(recorded(domain), **options).still()
    figure.canvas.draw()
    boxes = small_pictures(figure)
    assert len(boxes) == 3
    outer = figure.axes[0].get_window_extent()
    for box in boxes:
        assert outer.x0 < box.x0 < box.x1 < outer.x1
        assert outer.y0 < box.y0 < box.y1 < outer.y1
        for mark in figure.axes[0].transData.transform(domain.anchors):
            assert not box.contains(*mark)
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)


def test_film_and_still_and_filmstrip_show_the_samples_and_can_leave_them_out():
    recording = recorded(Domain.through(*IMAGES, resolution=20))
    plain, marked = (
        next(iter(animate(recording, anchors=shown, dpi=50))) for shown in (False, True)
    )
    assert (plain != marked).any(axis=-1).mean() > 0.03
    strip = animate(recording).filmstrip(epochs=[0, 1])
    assert all(len(ax.texts) == 3 for ax in strip.axes)
    assert not animate(recording, anchors=False).still().axes[0].texts
    extents = [ax.get_xlim() + ax.get_ylim() for ax in strip.axes]
    assert extents == [recording.domain.extent] * 2


@pytest.fixture(scope="module")
def guessed():
    places = np.random.default_rng(1).random((80, 2)) + np.repeat([[0, 0], [4, 4]], 40, axis=0)
    rows = np.concatenate([places, places], axis=1)
    domain = Domain.from_embedding(rows, places, resolution=30)
    return recorded(domain, data=(rows, np.arange(80) % 2))


@pytest.mark.parametrize("mode", ["region", "boundary"])
def test_a_guess_is_hatched_in_films_and_stills_and_said_in_the_legend(guessed, mode):
    film = animate(guessed, mode=mode, points=False, dpi=60)
    still = film.still()
    labels = [text.get_text() for text in still.legends[0].get_texts()]
    assert labels == (["0", "1", "a guess"] if mode == "region" else ["a guess"])
    frame = next(iter(film))
    box = still.axes[0].get_window_extent()
    rows = slice(round(still.bbox.height - box.y1), round(still.bbox.height - box.y0))
    inside = frame[rows, round(box.x0) : round(box.x1)]
    side = len(inside) // 6
    corner = inside[:side, :side]
    data = inside[-side - side // 2 : -side // 2, side // 2 : side + side // 2]
    assert corner.std(axis=(0, 1)).max() > 20  # far from all data
    assert data[side // 4 : -side // 4, side // 4 : -side // 4].std(axis=(0, 1)).max() < 5
    strip = film.filmstrip(epochs=[0, 1])
    assert all(any(c.hatches != [None] for c in ax.collections if hasattr(c, "hatches"))
               for ax in strip.axes[:2])  # fmt: skip


def test_an_exact_plane_has_no_hatch(recording):
    still = animate(recording).still()
    assert not any(hasattr(part, "hatches") for part in still.axes[0].collections)
    assert "a guess" not in [text.get_text() for text in still.legends[0].get_texts()]


def test_points_far_from_the_plane_are_fainter_and_stay_legible():
    near, far = np.zeros((20, 3)), np.full((20, 3), 9.0)
    near[:, :2] = far[:, :2] = np.random.default_rng(1).random((20, 2))
    rows = np.concatenate([far, near])
    domain = Domain.slice(rows, (0, 1), near[0], resolution=20)
    figure = animate(recorded(domain, data=(rows, np.repeat([0, 1], 20)))).still()
    halos, points = figure.axes[0].collections[:2]
    assert halos.get_facecolors()[:, 3].max() == 1
    opacities = points.get_facecolors()[:, 3]
    assert opacities[-20:].tolist() == [1] * 20  # the near ones, over the others
    np.testing.assert_allclose(opacities[:20], 0.35)
    np.testing.assert_array_equal(points.get_edgecolors()[:, 3], opacities)
    assert "far from the plane" in [text.get_text() for text in figure.legends[0].get_texts()]
    # Told from the ground of either class.
    for color in points.get_facecolors():
        shown = color[:3] * color[3] + np.array(to_rgb("#ffffff")) * (1 - color[3])
        assert np.abs(shown - 1).max() > 0.2


def test_points_of_a_plain_window_are_opaque(recording):
    figure = animate(recording).still()
    assert (figure.axes[0].collections[0].get_facecolors()[:, 3] == 1).all()
    assert "far from the plane" not in [t.get_text() for t in figure.legends[0].get_texts()]
