"""Titles and names: plain text, in every script, and no longer than their room."""

import io
import shutil
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

import trainviz as tv

PRIVATE = "\U000f5000"
"""A character of a private-use plane, for which no font is made."""


def record(names=("a", "b"), axis_names=(None, None), metrics=None):
    domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=21, axis_names=axis_names)
    points = np.linspace(-0.8, 0.8, 2 * len(names)).repeat(2).reshape(-1, 2)
    labels = np.arange(2 * len(names)) % len(names)
    recorder = tv.Recorder(domain, data=(points, labels), class_names=list(names))

    def predict_proba(X):
        logits = -np.abs(X[:, :1] - np.linspace(-1, 1, len(names))) * 5
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    for epoch in range(3):
        recorder.capture(predict_proba, epoch=epoch, metrics=metrics)
    return recorder.recording


def texts_of(figure, tmp_path):
    """Return what a reader of the SVG can read."""
    path = tmp_path / "figure.svg"
    figure.savefig(path)
    return ["".join(node.itertext()) for node in ElementTree.parse(path).iter() if
            node.tag.endswith("}text")]  # fmt: skip


@pytest.fixture(autouse=True)
def text_as_text():
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        yield


@pytest.fixture
def priced():
    return record(
        names=("$5-$10", "a_b^c {x} 100%"), axis_names=("$x$ low", "$y$ high"),
        metrics={"cost in $ ($)": 1.0},
    )  # fmt: skip


@pytest.mark.parametrize("draw", ["still", "filmstrip", "panels"])
def test_dollar_signs_are_no_math(draw, priced, tmp_path):
    film = tv.animate(priced, title="from $1 to $2", subtitle="$a$")
    drawn = texts_of(getattr(film, draw)(), tmp_path)
    assert {"from $1 to $2", "$5-$10", "a_b^c {x} 100%"} <= set(drawn)
    assert "$x$ low" in drawn


def test_dollar_signs_are_no_math_in_comparisons_dynamics_and_kymographs(priced, tmp_path):
    compared = tv.compare([priced, priced], labels=["$1", "$2 to $3"], title="$a$").still()
    assert {"$2 to $3", "$a$", "$5-$10"} <= set(texts_of(compared, tmp_path))
    assert {"$b$", "$x$ low"} <= set(texts_of(tv.dynamics(priced).still(title="$b$"), tmp_path))
    line = tv.kymograph(priced, (-1, 0), (1, 0)).still(title="$c$")
    assert "$c$" in texts_of(line, tmp_path)


def test_math_is_drawn_where_it_is_marked(tmp_path):
    recording = record(names=("$5-$10", tv.math(r"\alpha_2")))
    title = "from $1 to $2: " + tv.math(r"$\beta$")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = texts_of(tv.animate(recording, title=title).still(), tmp_path)
    assert "$5-$10" in drawn
    assert not any("alpha" in text or "beta" in text or "\u2061" in text for text in drawn)
    assert any("\u03b1" in text for text in drawn)
    assert any("from$1to$2:\u03b2" in "".join(text.split()) for text in drawn)


def test_math_survives_a_file(tmp_path):
    recording = record(names=("a", tv.math(r"\alpha")))
    recording.save(tmp_path / "run.zarr")
    again = tv.open_recording(tmp_path / "run.zarr")
    assert any("\u03b1" in text for text in texts_of(tv.animate(again).still(), tmp_path))


def test_math_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"math\('\$\\\\nonsense\$'\): .*cannot read it"):
        tv.animate(record(), title=tv.math(r"\nonsense")).still()
    with pytest.raises(TypeError, match="text=3: expected a text"):
        tv.math(3)


def test_a_character_without_a_glyph_is_told_once_before_a_film_is_written(tmp_path):
    film = tv.animate(record(names=("a", f"b{PRIVATE}")), title=f"{PRIVATE} too")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert film.shape
        film.save(tmp_path / "film.gif")
    assert [warning.filename for warning in told] == [__file__]
    assert "no installed font has these characters" in str(told[0].message)
    assert "install a font such as" in str(told[0].message)


@pytest.mark.parametrize(
    ("sign", "script", "font"),
    [("\u732b", "Chinese, Japanese or Korean", "Noto Sans CJK"),
     ("\u0915", "Devanagari", "Noto Sans Devanagari")],
)  # fmt: skip
def test_the_missing_script_and_a_font_to_install_are_named(sign, script, font):
    from matplotlib.font_manager import fontManager, get_font

    if any(get_font(str(entry.fname)).get_char_index(ord(sign)) for entry in fontManager.ttflist
           if not entry.name.startswith("Last Resort")):  # fmt: skip
        pytest.skip("a font with this script is installed")
    with pytest.warns(UserWarning, match=f"{script} .*{sign}.*install a font such as {font}"):
        tv.animate(record(), title=sign).still()


def test_a_font_with_the_glyphs_is_found_among_those_installed(tmp_path):
    """The font of the user's choice has no Greek or Hebrew; DejaVu Sans, which is there, has."""
    import matplotlib

    with matplotlib.rc_context({"font.family": ["cmss10"]}), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = tv.animate(
            record(names=("alpha \u03b1", "שלום")), axes=False, counter=False
        ).still()
        drawn = {text.get_text(): text.get_fontfamily() for text in figure.legends[0].get_texts()}
        figure.savefig(tmp_path / "still.png")
    assert drawn["alpha \u03b1"][0] == "cmss10"
    assert len(drawn["alpha \u03b1"]) == 2
    assert drawn["misclassified"] == ["cmss10"]


def test_text_from_right_to_left_is_drawn_in_its_order(tmp_path):
    """Hebrew begins at the right: the first letter's ink is there."""
    pytest.importorskip("matplotlib", minversion="3.11")
    widths = []
    for title in ("\u05d5" + "\u05e9" * 6, "\u05e9" * 6 + "\u05d5"):
        figure = tv.animate(record(), title=title, figsize=(6, 5)).still(dpi=100)
        figure.canvas.draw()
        box = figure._suptitle.get_window_extent()
        picture = np.asarray(figure.canvas.buffer_rgba())[..., 0]
        top = picture.shape[0] - int(box.y1)
        ink = (picture[top : top + int(box.height), int(box.x0) : int(box.x1)] < 128).sum(axis=0)
        widths.append(ink[: len(ink) // 8].sum() - ink[-(len(ink) // 8) :].sum())
    # Vav has less ink than shin.
    assert widths[0] > 0 > widths[1]


def test_long_names_end_in_an_ellipsis_in_figures_and_are_whole_in_pages(tmp_path):
    long = "antidisestablishmentarianism" * 4
    recording = record(names=("a", long), axis_names=(long * 3, None))
    film = tv.animate(recording, title=long * 6)
    figure = film.still()
    drawn = texts_of(figure, tmp_path)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names[1]) < 60
    assert names[1].endswith("…")
    assert any(text.endswith("…") and text not in names for text in drawn)
    for text in [figure._suptitle, figure.axes[0].xaxis.label, *figure.legends[0].get_texts()]:
        assert text.get_window_extent().x1 <= figure.bbox.width
        assert text.get_fontsize() >= 6
    film.save(tmp_path / "film.html")
    assert long in (tmp_path / "film.html").read_text(encoding="utf-8")


def test_wide_characters_count_twice_in_a_legend():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        narrow, wide = (
            tv.animate(record(names=("a", sign * 100))).still().legends[0].get_texts()[1].get_text()
            for sign in ("x", "\u732b")
        )
    assert len(wide) < 0.6 * len(narrow)


def has_latex(program, font="sfss1000.pfb"):
    """Tell whether LaTeX is installed with the fonts (cm-super) that matplotlib asks it for."""
    if not (shutil.which(program) and shutil.which("kpsewhich")):
        return False
    found = subprocess.run(["kpsewhich", font], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip())


@pytest.mark.skipif(not has_latex("latex"), reason="LaTeX is not installed with cm-super")
def test_names_are_plain_text_for_latex_too(priced, tmp_path):
    with matplotlib.rc_context({"text.usetex": True}):
        figure = tv.animate(priced, title="50 % of $5 & " + tv.math(r"\beta")).still()
        figure.savefig(tmp_path / "still.pdf")
    assert figure._suptitle.get_text() == r"50 \% of \$5 \& $\beta$"


@pytest.mark.skipif(not has_latex("pdflatex", "pgf.sty"), reason="LaTeX is not installed with pgf")
def test_a_pgf_file_is_compiled_in_a_document_and_its_names_are_plain_text(priced, tmp_path):
    title = "50 % of $5 & #1 {a} a\\b ~^_ " + tv.math(r"\beta_1")
    film = tv.animate(priced, title=title, style="paper")
    with matplotlib.rc_context({"pgf.texsystem": "pdflatex", "pgf.rcfonts": False}):
        figure = film.still(tmp_path / "still.pgf")
    text = (tmp_path / "still.pgf").read_text(encoding="utf-8")
    assert r"50 \% of \$5 \& \#1 \{a\} a\textbackslash{}b" in text
    assert r"$\beta_1$" in text
    assert r"\$5-\$10" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["still-img0.png", "still.pgf"]
    # The figure is as it was.
    assert "50 % of" in figure._suptitle.get_text()
    document = (
        r"\documentclass{article}\usepackage{pgf}"
        r"\begin{document}\input{still.pgf}\end{document}"
    )
    (tmp_path / "page.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_without_latex_no_pgf_is_written_and_the_way_out_is_told(priced, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        matplotlib.rc_context({"pgf.texsystem": "lualatex"}),
        pytest.raises(tv.WriterError, match=r"still.pgf: lualatex could not.*install LaTeX.*\.pdf"),
    ):
        tv.animate(priced).still(tmp_path / "still.pgf")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="format='pgf': its pictures are files beside it"):
        tv.animate(priced).still(io.BytesIO(), format="pgf")


def test_the_interface_loads_math_without_matplotlib():
    code = "import sys, trainviz as tv; tv.math('x'); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
