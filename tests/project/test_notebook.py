"""The notebook of the examples runs from its first cell to its last."""

import base64
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "trainviz_tour.ipynb"


@pytest.fixture(scope="module")
def stored():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture(scope="module")
def executed(stored, tmp_path_factory):
    """The notebook after all its cells were run, and the folder where it ran."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.from_dict(stored)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()  # raises at the first cell that fails
    return notebook, folder


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook, kind):
    """What the cells display in the given form."""
    return [
        output.data[kind]
        for cell in code_cells(notebook)
        for output in cell.outputs
        if kind in output.get("data", {})
    ]


def test_the_stored_notebook_has_no_outputs():
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert code_cells(stored)
    for cell in code_cells(stored):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.slow
def test_every_cell_runs_without_errors_or_warnings(executed):
    notebook, _ = executed
    for cell in code_cells(notebook):
        assert cell.execution_count is not None
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")


@pytest.mark.slow
def test_the_film_is_a_player_in_its_cell_and_the_file_stays_small(executed):
    notebook, _ = executed
    for kind in ("text/html", "application/vnd.jupyter.widget-view+json"):
        assert len(shown(notebook, kind)) == 2  # the recording, and its film
    for page in shown(notebook, "text/html"):
        assert "&quot;total&quot;:61" in page
    pictures = sum(map(len, shown(notebook, "image/png")))
    assert len(nbformat.writes(notebook)) - pictures < 1e6


@pytest.mark.slow
def test_the_pictures_stand_in_their_cells(executed):
    notebook, _ = executed
    pictures = [base64.b64decode(data) for data in shown(notebook, "image/png")]
    # A still, a filmstrip of each mode, the ways of interpolation, and what a PDF shows of the
    # recording and of the film.
    assert len(pictures) == 6
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.slow
def test_the_film_is_saved_where_the_notebook_runs(executed):
    _, folder = executed
    assert [path.name for path in folder.iterdir()] == ["two_moons.mp4"]
