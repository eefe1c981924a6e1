"""The Keras tests whose subject differs from backend to backend, on those not used here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_is_recorded_and_replayed_on(backend):
    here = Path(__file__).parent
    # JAX compiles each model, which takes longer than to train it.
    jax = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-m", "every_backend and not slow",
            here / "test_recorder.py", here / "test_resume.py",
            here.parents[1] / "capture" / "replay" / "test_keras.py",
        ],
        cwd=here.parents[2], env={**os.environ, **jax, "KERAS_BACKEND": backend},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
