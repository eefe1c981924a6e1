"""The pages of ``docs/how-to/`` are followed, step by step, and lead to something that works.

A Python block that begins with the comment ``# path/to/file.py`` is that file, a ``diff`` block
with this comment changes that file, and all other Python blocks run in one namespace, in order.
The pages that only use the package are followed in ``test_site.py``.
Pages that change the package are followed in a copy of it, in a process of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest

import trainviz as tv

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to"
IN_A_COPY = ["add-a-writer.md", "add-a-store.md"]


def blocks(page):
    return pages.blocks(PAGES / page)


def script(page):
    return pages.script(PAGES / page)


def run(page):
    """Run what a reader types, and the page's own tests; return the names that are defined."""
    defined = {}
    exec(compile(script(page), page, "exec"), defined)
    tests = [name for name in defined if name.startswith("test_")]
    assert tests
    for name in tests:
        defined[name]()
    return defined


def change(path, diff):
    """Apply a diff without line numbers; ``@@`` parts its hunks."""
    text = path.read_text(encoding="utf-8")
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines()
        before = "\n".join(line[1:] for line in lines if line[:1] != "+")
        after = "\n".join(line[1:] for line in lines if line[:1] != "-")
        assert text.count(before) == 1, f"{path.name} does not have, exactly once:\n{before}"
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the package and of the tests that the pages name, changed as the pages say."""
    root = tmp_path_factory.mktemp("checkout")
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "trainviz", root / "trainviz", ignore=leave_out)
    for path in (
        "pyproject.toml",
        "tests/conftest.py",
        "tests/common/test_providers.py",
        "tests/recordings/store_contract.py",
        "tests/rendering/writers/test_writers.py",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    for page in IN_A_COPY:
        for language, path, code in blocks(page):
            if language == "diff":
                change(root / path, code)
            elif path is not None:
                assert not (ROOT / path).exists()
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(code, encoding="utf-8")
    return root


def python(checkout, *arguments):
    # A copy of the package has no compiled loops, and compiling takes longer than these films.
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "NUMBA_DISABLE_JIT": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def pytest_in(checkout, *paths):
    """Run what concerns the new files; return a line for each test that has passed."""
    options = ["-q", "-rA", "-p", "no:cacheprovider", "-k", "npz"]
    done = python(checkout, "-m", "pytest", *options, *paths)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def used(checkout):
    """The same copy, after what the pages say under "Use it" was run there."""
    code = "\n".join(script(page) for page in IN_A_COPY)
    done = python(checkout, "-c", code)
    assert done.returncode == 0, done.stderr
    return checkout


def film_of(interpolate, **options):
    """The film that the page of the writer makes, with the package as it is."""
    recorder = tv.Recorder(tv.Domain((-2, 2), (-1, 1), points_per_axis=40))
    for epoch in range(4):
        recorder.capture(lambda X, k=2 * epoch: 1 / (1 + np.exp(-k * X[:, 0])), epoch=epoch)
    return tv.animate(recorder.recording, interpolate=interpolate, **options)


@pytest.mark.usefixtures("clean_modes")
def test_the_modes_of_the_page_paint_what_it_says():
    page = run("add-a-mode.md")
    palette = tv.Palette.of(2)
    # One class on the left, and on the right two that are as likely.
    probabilities = np.zeros((2, 3, 4), dtype=np.float32)
    probabilities[0, :, :2], probabilities[:, :, 2:] = 1, 0.5
    probabilities.flags.writeable = False

    picture = page["Perplexity"]().bound(2, palette).paint(probabilities)
    assert (picture.shape, picture.dtype) == ((3, 4, 3), np.uint8)
    assert (picture[:, :2] == palette.sequential[0]).all()
    assert (picture[:, 2:] == palette.sequential[-1]).all()
    picture = page["Confident"]().bound(2, palette).paint(probabilities)
    assert (picture[:, :2] == palette.classes[0]).all()
    assert (picture[:, 2:] == palette.background).all()

    for name in ("film", "lines", "regions"):
        film = page[name]
        before, after = film[0], film[len(film) - 1]
        assert before.shape == (*film.shape, 3)
        # Before training all is undecided, and afterwards only the border is.
        assert (before != after).any(axis=2).mean() > 0.2
    assert (page["film"][3] != page["lines"][3]).any()
    assert "perplexity" in {ax.get_ylabel() for ax in page["film"].still().axes}


def test_the_adapter_of_the_page_records_and_does_not_disturb_the_training():
    page = run("add-an-adapter.md")
    assert page["rec"].recording.epochs.tolist() == [0, 5, 10, 12]
    assert page["rec"].recording.class_names == ["ash", "birch", "cedar"]
    assert page["loop"].recording.epochs.tolist() == [0, 5, 10, 12]
    assert page["rec"].recording.metrics["loss"][1:].max() < np.log(3)
    # The model is asked in evaluation mode: before training every class is as likely.
    np.testing.assert_allclose(page["rec"].recording[0].probabilities, 1 / 3)
    # A second fit of the model counts on, and another model has another recording.
    page["rec"]._predictor.model.fit(page["X"], page["y"], epochs=3, callbacks=[page["rec"]])
    assert page["rec"].recording.epochs.tolist() == [0, 5, 10, 12, 15]
    page["SoftmaxRegression"](2, 3).fit(page["X"], page["y"], epochs=3, callbacks=[page["rec"]])
    assert page["rec"].recording.epochs.tolist() == [0, 3]
    assert len(page["film"]) == 4

    def weights(*callbacks):
        model = page["SoftmaxRegression"](2, 3, seed=3)
        return model.fit(page["X"], page["y"], epochs=20, callbacks=callbacks).weights

    bare = weights()
    for options in ({}, {"evaluation": "dense"}, {"background": True}):
        recorder = page["SoftmaxRecorder"](page["domain"], **options)
        np.testing.assert_array_equal(weights(recorder), bare)
        assert len(recorder.recording) == 21


def test_the_writer_of_the_page_writes_each_frame(used):
    film = film_of(interpolate=3, fps=12, figsize=(3, 2.4), dpi=50)
    with np.load(used / "moons.npz") as archive:
        assert archive["fps"] == 12
        np.testing.assert_array_equal(archive["frames"], np.stack(list(film)))


def test_the_store_of_the_page_is_recorded_into_and_read_again(used):
    names = sorted(path.name for path in (used / "run.npzs").iterdir())
    assert names == [f"{index:06d}.npz" for index in range(4)]
    found = python(used, "-c", "\n".join([
        "import trainviz as tv",
        "from trainviz.recordings.npz_store import NpzStore",
        "domain = tv.Domain((-2, 2), (-1, 1), points_per_axis=40)",
        "recording = tv.Recording(domain, NpzStore('run.npzs'))",
        "print(recording.epochs.tolist(), recording.metrics['loss'].tolist())",
        "print(recording[-1].probabilities[1, 0, [0, -1]].round(4).tolist())",
        "try: tv.Recorder(domain, path='run.npzs')",
        "except tv.RecordingError as error: print(error)",
    ]))  # fmt: skip
    assert found.stdout.splitlines() == [
        "[0, 1, 2, 3] [1.0, 0.5, 0.3333333333333333, 0.25]",
        "[0.0, 1.0]",
        "path='run.npzs': .npz files are recorded in a new folder",
    ], found.stderr


@pytest.mark.slow
def test_the_tests_that_the_pages_write_pass_and_so_does_the_contract_of_stores(checkout):
    done = pytest_in(
        checkout, "tests/recordings", "tests/rendering/writers/test_npz.py", "tests/common"
    )
    for passed in (
        "tests/recordings/test_npz_store.py::test_another_process_reads_what_was_kept",
        "tests/recordings/test_npz_store.py::TestNpzStore::test_entries_come_back_in_order",
        "tests/rendering/writers/test_npz.py::test_an_archive_holds_each_frame[True]",
        "tests/common/test_providers.py::test_every_name_stands_for_something[film.npz]",
    ):
        assert f"PASSED {passed}" in done


@pytest.mark.slow
def test_the_format_of_the_page_is_as_every_format(checkout):
    done = pytest_in(checkout, "tests/rendering/writers/test_writers.py")
    assert done.count("PASSED") >= 7
    assert "test_suffixes_may_be_written_in_capitals[.npz]" in done


def test_every_page_that_extends_the_package_is_followed_here_and_linked():
    followed = {"add-a-mode.md", "add-an-adapter.md", *IN_A_COPY}
    assert {path.name for path in PAGES.glob("add-*.md")} == followed
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [page for page in sorted(followed) if f"(docs/how-to/{page})" not in text] == []
