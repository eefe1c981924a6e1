"""What a real notebook shows of figures and films, and what it exports."""

import base64
import io
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import LatexExporter
from PIL import Image

RECORD = """
import trainviz as tv
recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=8))
for epoch in range(3):
    _ = recorder.capture(lambda X: 1 / (1 + 2.7 ** (-epoch * X[:, 0])), epoch=epoch)
run = recorder.recording
film = tv.animate(run, figsize=(3, 2.4), dpi=50)
"""

WITHOUT_WIDGETS = """
import sys
sys.modules["anywidget"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "anywidget" else find(name, *rest)
"""


def run(*cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def pictures(cell):
    return [
        output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
    ]


@pytest.fixture(scope="module")
def notebook():
    return run(
        RECORD + "film.still()",
        "figure = film.still()",
        "film.still()\nimport matplotlib.pyplot as plt\nplt.show()",
        "figure",
        "figure = film.filmstrip()\nfigure",
        "tv.compare([run, run]).still()",
        "tv.dynamics(run).still()",
        "tv.kymograph(run, (-1, 0), (1, 0)).still()",
        "import io\n_ = film.still(io.BytesIO(), format='png')",
        "figure = film.still()\nfigure.axes[0].set_title('mine')\nfigure",
        "film",
        "run",
        "tv.compare([run, run])",
        "%matplotlib inline\nfilm.panels()",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        pytest.param(0, 1, id="the first figure of a notebook"),
        pytest.param(1, 1, id="a figure with a name"),
        pytest.param(2, 1, id="by plt.show()"),
        pytest.param(3, 1, id="in a later cell"),
        pytest.param(4, 1, id="a figure with a name that is the value of its cell, too"),
        pytest.param(5, 1, id="a comparison"),
        pytest.param(6, 1, id="dynamics"),
        pytest.param(7, 1, id="a kymograph"),
        pytest.param(8, 0, id="a figure that went to a file"),
        pytest.param(9, 1, id="a figure that was changed"),
        pytest.param(13, 1, id="after %matplotlib inline"),
    ],
)
def test_a_notebook_shows_a_figure_once(notebook, cell, shown):
    assert len(pictures(notebook.cells[cell])) == shown
    for picture in pictures(notebook.cells[cell]):
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


@pytest.mark.slow
@pytest.mark.parametrize("cell", [10, 11, 12])
def test_a_film_and_a_recording_bring_a_picture_along_for_a_pdf(notebook, cell):
    (output,) = notebook.cells[cell].outputs
    assert {"text/html", "image/png", "application/vnd.jupyter.widget-view+json"} <= {*output.data}
    assert len(output.data["image/png"]) < 100_000


@pytest.mark.slow
def test_an_export_to_latex_has_a_picture_of_each(notebook):
    body, resources = LatexExporter().from_notebook_node(notebook)
    assert len(resources["outputs"]) == body.count(r"\adjustimage") == 13


@pytest.mark.slow
def test_without_widgets_a_film_brings_a_picture_along_too():
    notebook = run(WITHOUT_WIDGETS + RECORD + "film", "run")
    for cell in notebook.cells:
        (output,) = cell.outputs
        assert {"text/html", "image/png"} <= {*output.data}
        assert not any("widget" in kind for kind in output.data)
    assert "<video" in notebook.cells[0].outputs[0].data["text/html"]


def test_a_script_without_a_screen_keeps_no_figure_open(recording):
    import matplotlib.pyplot as plt

    import trainviz as tv

    film = tv.animate(recording, figsize=(4, 3))
    before = plt.get_fignums()
    for epoch in recording.epochs:
        film.still(epoch=epoch)
    assert plt.get_fignums() == before


BACKEND = """
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        for manager in Gcf.get_all_fig_managers():
            print("shown", manager.canvas.figure.axes[0].get_title(loc="right"))

class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""
SCRIPT = """
import io
import matplotlib.pyplot as plt
first = film.still(epoch=1)
film.still(io.BytesIO(), epoch=0, format="png")
film.still(epoch=2)
plt.close(first)
plt.show()
"""


def test_pyplot_shows_a_still_until_it_is_closed(tmp_path):
    """By a backend that prints instead of opening windows."""
    (tmp_path / "printing.py").write_text(BACKEND)
    (tmp_path / "script.py").write_text(RECORD + SCRIPT)
    package = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "MPLBACKEND": "module://printing",
             "PYTHONPATH": os.pathsep.join([package, str(tmp_path)])},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["shown epoch 2"]
