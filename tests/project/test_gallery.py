"""The gallery's examples say what they teach, and end in a film."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trainviz as tv

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*/plot_*.py"))
# The site's build runs all of them; these take a second or two each.
QUICK = [
    "estimators/plot_k_means.py",
    "estimators/plot_forest_growing.py",
    "generalisation/plot_mode_connectivity.py",
    "measures/plot_kymograph.py",
]

every_example = pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])


def run(path):
    """Run an example; return the values of its expressions."""
    values, names = [], {"__name__": "__main__"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr):
            values.append(eval(compile(ast.Expression(node.value), path.name, "eval"), names))
        else:
            exec(compile(ast.Module([node], []), path.name, "exec"), names)
    return values


def test_there_are_examples_of_all_frameworks_and_each_group_has_a_heading():
    assert len(EXAMPLES) >= 24
    source = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    for name in ("TorchRecorder", "LightningRecorder", "KerasRecorder", "SklearnRecorder"):
        assert f"tv.{name}(" in source
    for folder in {GALLERY, *(path.parent for path in EXAMPLES)}:
        title, line, *_ = (folder / "GALLERY_HEADER.rst").read_text(encoding="utf-8").splitlines()
        assert len(title) == len(line)


@every_example
def test_an_example_has_a_title_and_says_in_two_sentences_what_it_teaches(path):
    title, line, text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split(
        "\n", 2
    )
    assert re.fullmatch(r"=+", line)
    assert len(line) == len(title)
    sentences = re.split(r"(?<=\.)\s+", text.strip())
    assert len(sentences) == 2, sentences
    assert all(sentence[-1] == "." for sentence in sentences)


@every_example
def test_an_example_ends_in_an_expression_that_a_page_shows(path):
    *_, last = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(last, ast.Expr)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.filterwarnings("default")
def test_an_example_ends_in_a_film_of_a_model_that_changes(name):
    film = run(GALLERY / name)[-1]
    assert isinstance(film, tv.Animation)
    first, last = film.recording[0].probabilities, film.recording[-1].probabilities
    assert np.abs(last - first).mean() > 0.02
    assert len(film) > 60


# The site's own, for a folder of a few examples.
CONF = f"""
import runpy
site = runpy.run_path({str(ROOT / "docs" / "conf.py")!r})
extensions = ["sphinx_gallery.gen_gallery"]
default_role = site["default_role"]
exclude_patterns = ["examples", *site["exclude_patterns"]]
html_static_path, html_js_files = site["html_static_path"], site["html_js_files"]
sphinx_gallery_conf = {{**site["sphinx_gallery_conf"], "examples_dirs": "examples"}}
del sphinx_gallery_conf["subsection_order"], site
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the pages of two examples, as the site does."""
    pytest.importorskip("sphinx_gallery")
    root = tmp_path_factory.mktemp("site")
    made = shutil.ignore_patterns("made")
    shutil.copytree(ROOT / "docs" / "_static", root / "_static", ignore=made)
    (root / "conf.py").write_text(CONF, encoding="utf-8")
    (root / "index.rst").write_text("Site\n====\n\n.. toctree::\n\n   gallery/index\n")
    (root / "examples").mkdir()
    shutil.copy(GALLERY / "GALLERY_HEADER.rst", root / "examples")
    for path in (GALLERY / "measures" / "plot_kymograph.py", GALLERY / QUICK[0]):
        shutil.copy(path, root / "examples")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", root, root / "site"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return root / "site"


@pytest.mark.slow
def test_a_page_shows_the_film_the_player_and_a_thumbnail_of_it(site):
    for name in ("plot_k_means", "plot_kymograph"):
        page = (site / "gallery" / f"{name}.html").read_text(encoding="utf-8")
        # The addresses in the page lead to files.
        shown = re.findall(r'<(?:video|iframe) src="(.*?)"', page)
        assert [Path(address).name for address in shown] == [f"{name}.mp4", f"{name}.html"]
        assert all((site / "gallery" / address).stat().st_size > 10_000 for address in shown)
        with Image.open(site / "_images" / f"sphx_glr_{name}_thumb.png") as thumbnail:
            assert len(thumbnail.convert("RGB").getcolors(maxcolors=1_000_000)) > 100
    # The still of the kymograph comes first, is shown, and is the thumbnail.
    page = (site / "gallery" / "plot_kymograph.html").read_text(encoding="utf-8")
    assert "sphx_glr_plot_kymograph_001.png" in page


@pytest.mark.slow
@pytest.mark.browser
def test_a_thumbnail_plays_its_film_while_the_pointer_is_on_it(site, browser):
    page = browser.new_page()
    page.goto((site / "gallery" / "index.html").as_uri())
    box = page.locator(".sphx-glr-thumbcontainer").first
    assert box.locator("img").is_visible()
    box.hover()
    box.locator("video").wait_for()
    assert box.locator("img").is_hidden()
    page.wait_for_function("document.querySelector('video').currentTime > 0.1")
    page.mouse.move(0, 0)
    box.locator("img").wait_for()
    assert box.locator("video").is_hidden()
