"""Each example runs as its reader runs it, in a process of its own, only shorter."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import trainviz as tv

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
EPOCHS = 3

# Of each film: snapshots in three epochs, and frames from one to the next.
MADE = {
    "torch_seven_clusters.py": {
        "seven_clusters_boundary.mp4": (4, 4),
        "seven_clusters_region.mp4": (4, 4),
        "seven_clusters.png": None,
    },
    "lightning_two_moons.py": {"two_moons.mp4": (4, 4), "two_moons.png": None},
    "keras_spirals.py": {"spirals.mp4": (4, 4), "spirals.png": None},
    # scikit-learn has no state before the first fit, nor boosting one before its first stage.
    "wine_pca.py": {
        "wine_pca.mp4": (3, 3),
        "wine_pca.png": None,
        "wine_units.png": None,
        "wine_learning.png": None,
    },
    "digits_cnn.py": {
        "digits.zarr": None,
        "digits_region.mp4": (4, 12),
        "digits_region.png": None,
        "digits_entropy.mp4": (4, 12),
        "digits_entropy.png": None,
        "digits_learning.png": None,
    },
    # Every third epoch is captured.
    "playground.py": {
        "playground_spiral.mp4": (2, 3),
        "playground_spiral.png": None,
        "playground_spiral_seeds.png": None,
    },
    # Nine steps an epoch, of which every third is captured.
    "transformers_text.py": {"negation.mp4": (10, 3), "negation.png": None},
    "jax_mlp.py": {"pinwheel.mp4": (4, 4), "pinwheel.png": None},
    "sklearn_iris.py": {
        "iris_network.mp4": (3, 3),
        "iris_network.png": None,
        "iris_boosting.mp4": (3, 3),
        "iris_boosting.png": None,
    },
}
# test_playground.py makes the other data.
ARGUMENTS = {"playground.py": ["--data", "spiral"]}
HOLD = 45  # frames, 1.5 seconds


def run(example, folder):
    """Run an example elsewhere than in its own folder; return the paths that it prints."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / example), "--out", "new/films", "--epochs", str(EPOCHS),
         *ARGUMENTS.get(example, [])],
        cwd=folder,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "CaptureWarning" not in result.stderr
    return [folder / line for line in result.stdout.splitlines() if line.startswith("new/films")]


def frames_of(film):
    reader = imageio_ffmpeg.read_frames(str(film))
    width, height = next(reader)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


def check(made, expected):
    assert [path.name for path in made] == list(expected)
    assert sorted(os.listdir(made[0].parent)) == sorted(expected)
    for path in made:
        if path.suffix == ".zarr":
            assert len(tv.open_recording(path)) == EPOCHS + 1
            continue
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert len(image.convert("RGB").getcolors(maxcolors=1_000_000)) > 100
            continue
        snapshots, between = expected[path.name]
        frames = frames_of(path)
        assert len(frames) == (snapshots - 1) * between + 1 + HOLD
        # More than the counter moves: the map itself changes while the model learns.
        assert np.abs(frames[-1].astype(int) - frames[0]).mean() > 1


def test_every_example_is_tested_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(MADE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a function that runs an example once, and returns what it has made."""
    return cache(lambda example: run(example, tmp_path_factory.mktemp("made")))


# Keras on its other backends is tested in tests/adapters/keras/test_backends.py.
@pytest.mark.parametrize("example", MADE)
def test_an_example_writes_films_and_pictures_and_says_where(made, example):
    check(made(example), MADE[example])


@pytest.mark.parametrize("example", ["torch_seven_clusters.py", "sklearn_iris.py", "wine_pca.py"])
def test_an_example_shows_the_same_each_time(made, tmp_path, example):
    pictures = [
        [path.read_bytes() for path in paths if path.suffix == ".png"]
        for paths in (made(example), run(example, tmp_path))
    ]
    assert pictures[0]
    assert pictures[0] == pictures[1]
