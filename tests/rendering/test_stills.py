"""Pictures for papers: their size, their files, and what they take from the user's settings."""

import io
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

import trainviz as tv

PICTURES = {
    "still": lambda run, *to, **options: animated(run, options).still(*to, **options),
    "filmstrip": lambda run, *to, figsize=None, **options: tv.animate(run).filmstrip(
        *to, figsize=figsize, **options
    ),
    "panels": lambda run, *to, figsize=None, **options: tv.animate(run).panels(
        *to, figsize=figsize, **options
    ),
    "comparison": lambda run, *to, figsize=None, **options: tv.compare(
        [run, run], figsize=figsize
    ).still(*to, **options),
    "dynamics": lambda run, *to, **options: tv.dynamics(run).still(*to, **options),
    "kymograph": lambda run, *to, **options: tv.kymograph(run, (-2, 0), (2, 0)).still(
        *to, **options
    ),
}
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def animated(run, options):
    return tv.animate(run, figsize=options.pop("figsize", None), metrics=False)


def pixels(figure):
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())


# The size.


TIGHT = {"savefig.bbox": "tight", "savefig.dpi": 300}


@pytest.mark.parametrize(
    ("picture", "settings"), [("still", {}), *((picture, TIGHT) for picture in PICTURES)]
)
def test_a_page_has_exactly_the_size_that_was_asked_for(recording, picture, settings):
    size = (8.5, 3.25)
    with matplotlib.rc_context(settings):
        for kind in STARTS:
            file = io.BytesIO()
            figure = PICTURES[picture](recording, file, figsize=size, format=kind)
            assert tuple(figure.get_size_inches()) == size
            assert file.getvalue().startswith(STARTS[kind])
            if kind == "pdf":
                (box,) = re.findall(rb"/MediaBox\s*\[([^]]*)\]", file.getvalue())
                assert list(map(float, box.split())) == [0, 0, 612, 234]
            elif kind == "svg":
                assert b'width="612pt" height="234pt"' in file.getvalue()
            else:
                assert Image.open(file).size == (850, 325)


@pytest.mark.parametrize("size", [(3.25, 2.5), (3.33, 2.47)])
def test_a_single_column_of_a_paper_is_not_rounded_to_even_pixels(recording, size, tmp_path):
    tv.animate(recording, figsize=size, metrics=False).still(tmp_path / "a.pdf")
    (box,) = re.findall(rb"/MediaBox\s*\[([^]]*)\]", (tmp_path / "a.pdf").read_bytes())
    assert [float(side) for side in box.split()[2:]] == pytest.approx([72 * side for side in size])


def test_the_frames_of_a_film_have_even_sides_all_the_same(recording):
    assert tv.animate(recording, figsize=(3.25, 2.51), metrics=False).shape == (250, 324)


def test_a_map_fills_its_axes_in_a_figure_of_half_pixels(recording):
    figure = tv.animate(recording, figsize=(3.255, 2.505), metrics=False, points=False).still()
    box = figure.axes[0].get_window_extent()
    for side in box.extents:
        assert side == pytest.approx(round(side), abs=1e-6)


# Files.


@pytest.mark.parametrize("picture", PICTURES)
def test_a_file_object_is_given_what_a_file_would_hold(recording, picture, tmp_path):
    file = io.BytesIO()
    PICTURES[picture](recording, file, format="png")
    PICTURES[picture](recording, tmp_path / "same.png")
    assert file.getvalue() == (tmp_path / "same.png").read_bytes()


@pytest.mark.parametrize("kind", ["gif", "mp4", "html"])
def test_a_film_is_written_to_a_file_object(recording, kind, tmp_path):
    film, file = tv.animate(recording, figsize=(3, 2.4), dpi=50), io.BytesIO(b"")
    file.write(b"before")
    assert film.save(file, format=kind) is None
    assert film.save(tmp_path / f"film.{kind}") == tmp_path / f"film.{kind}"
    assert file.getvalue() == b"before" + (tmp_path / f"film.{kind}").read_bytes()


def test_a_film_is_written_to_a_file_that_cannot_seek(recording, tmp_path):
    class Pipe(io.RawIOBase):
        held = b""

        def writable(self):
            return True

        def write(self, data):
            self.held += bytes(data)
            return len(data)

    pipe = Pipe()
    tv.animate(recording, figsize=(3, 2.4), dpi=50).save(pipe, format="gif")
    with Image.open(io.BytesIO(pipe.held)) as film:
        assert film.n_frames > 1


@pytest.mark.parametrize(
    ("save", "error", "message"),
    [
        (lambda film, file: film.save(file), ValueError, "give format=, one of 'mp4', .*'gif'"),
        (lambda film, file: film.still(file), ValueError, "give format=, one of 'png', 'svg'"),
        (lambda film, file: film.save(file, format="avi"), ValueError,
         "format='avi': expected one of 'mp4'"),
        (lambda film, file: film.still(file, format="gif"), ValueError,
         "format='gif': expected one of 'png', 'svg', 'pdf', 'pgf'"),
        (lambda film, file: film.still(format="png"), ValueError, "no file to write: give path="),
        (lambda film, file: film.save(io.StringIO(), format="gif"), TypeError,
         r"open for text; expected one for bytes, open\(\.\.\., 'wb'\)"),
        (lambda film, file: film.save("a.gif", format="mp4"), ValueError,
         "format='mp4', but the path 'a.gif' ends in '.gif': leave format= out"),
    ],
)  # fmt: skip
def test_a_format_that_does_not_fit_is_told_before_anything_is_drawn(
    recording, save, error, message
):
    file = io.BytesIO()
    with pytest.raises(error, match=message):
        save(tv.animate(recording), file)
    assert file.getvalue() == b""


# The user's settings of matplotlib.


@pytest.mark.slow_after(2)
def test_settings_of_grids_places_and_ticks_change_no_picture(recording):
    settings = {
        "axes.grid": True, "axes.spines.top": False, "image.origin": "lower", "figure.dpi": 200,
        "axes.titlelocation": "left", "xtick.direction": "in", "xtick.top": True,
        "figure.constrained_layout.use": True, "axes.formatter.limits": (-2, 2),
        "savefig.bbox": "tight", "axes.xmargin": 0.3, "legend.framealpha": 0.1,
    }  # fmt: skip

    def drawn():
        film, pair = tv.animate(recording, figsize=(5, 4)), tv.compare([recording] * 2)
        pictures = [pixels(draw(recording)) for draw in PICTURES.values()]
        return [film[1], pair[1], *pictures]

    expected = drawn()
    with matplotlib.rc_context(settings):
        for picture, usual in zip(drawn(), expected, strict=True):
            np.testing.assert_array_equal(picture, usual)


@pytest.mark.parametrize(
    ("style", "label", "ground"),
    [
        ("ggplot", 12, "#ffffff"), ("dark_background", 10, "#000000"),
        ("classic", 12, "#bfbfbf"),
    ],
)  # fmt: skip
def test_a_style_sheet_is_honoured_without_its_grid_lines(recording, style, label, ground):
    with matplotlib.style.context([style, {"axes.grid": True}]):
        figures = {name: draw(recording) for name, draw in PICTURES.items()}
        film = tv.animate(recording, figsize=(3.25, 2.51), metrics=False)
        assert [side % 2 for side in film[0].shape[:2]] == [0, 0]
    for name, figure in figures.items():
        assert matplotlib.colors.to_hex(figure.get_facecolor()) == ground, name
        ax = figure.axes[0]
        figure.canvas.draw()
        ticks = [*ax.xaxis.get_major_ticks(), *ax.yaxis.get_major_ticks()]
        assert not any(tick.gridline.get_visible() for tick in ticks), name
        # White axes of a style sheet would not be seen on white.
        assert ax.spines["left"].get_edgecolor() != figure.get_facecolor(), name
    for name in ("still", "kymograph", "dynamics"):
        assert figures[name].axes[0].xaxis.label.get_fontsize() == label


def test_the_typeface_of_a_paper_is_kept(recording):
    usual = tv.animate(recording).still()
    with matplotlib.rc_context({"font.family": "serif"}):
        figure = tv.animate(recording).still()
        assert figure.axes[0].xaxis.label.get_fontfamily() == ["serif"]
        assert not np.array_equal(pixels(figure), pixels(usual))
