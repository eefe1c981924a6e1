"""What trainviz prints on a terminal while the bar of another package runs there.

Each script runs on a pseudo-terminal, whose raw output is read as a terminal shows it.
"""

import os
import re
import struct
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")

START = """
import os, sys, time, warnings
import numpy as np
import trainviz as tv

warnings.simplefilter("always", tv.CaptureWarning)
X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2

def model(points):
    return 1 / (1 + np.exp(-points[:, 0]))

def broken(points):
    raise RuntimeError("broken on purpose")

def record():
    recorder = tv.watch(model, X, y, resolution=9)
    recorder.capture(model, epoch=0)
    recorder.capture(broken, epoch=1)
    return recorder.recording
"""

PLAIN = """
from tqdm.auto import tqdm
for step in tqdm(range(3), desc="3 steps", miniters=1, mininterval=0, **options):
    if step == 1:
        recording = record()
        tv.animate(recording, figsize=(2, 2), dpi=40).save("film.gif")
"""

RICH = """
from rich.progress import Progress
with Progress() as progress:
    bar = progress.add_task("3 steps:", total=3)
    for step in range(3):
        if step == 1:
            recording = record()
            tv.animate(recording, figsize=(2, 2), dpi=40).save("film.gif")
        progress.update(bar, advance=1)
        progress.refresh()
"""

LIGHTNING = """
import logging, torch, lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar, TQDMProgressBar
from torch.utils.data import DataLoader, TensorDataset
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 2)

    def forward(self, points):
        if not self.training and self.global_step >= 4:
            raise RuntimeError("broken on purpose")
        return self.net(points)

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

data = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y))
for bar in (TQDMProgressBar(refresh_rate=1), RichProgressBar(refresh_rate=1)):
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[bar, tv.LightningRecorder(every_n_steps=2, evaluation="dense")],
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(Module(), DataLoader(data, 5))
"""

KERAS = """
os.environ["KERAS_BACKEND"] = "torch"
import keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy")

def predict(model, points):
    if int(model.optimizer.iterations) > 4:
        raise RuntimeError("broken on purpose")
    return model(points, training=False)

recorder = tv.watch(model, X, y, predict=predict, resolution=9, evaluation="dense")

def film(snapshot):
    if snapshot.epoch == 1:
        tv.animate(recorder.recording, figsize=(2, 2), dpi=40).save("film.gif")

recorder.recorder.subscribe(film)
slowly = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *a, **k: time.sleep(0.06))
model.fit(X, y, epochs=3, batch_size=10, callbacks=[recorder, slowly])
"""


def shown(raw):
    """Return the lines of a terminal without an end that shows these bytes."""
    lines, row, column = [[]], 0, 0
    tokens = re.findall(r"\x1b\[[?\d;]*[a-zA-Z]|.|\n", raw)
    for token in tokens:
        if token == "\n":
            row += 1
            lines += [[]] if row == len(lines) else []
        elif token == "\r":
            column = 0
        elif token == "\b":
            column = max(0, column - 1)
        elif token.endswith("A") and len(token) > 1:
            row = max(0, row - int(token[2:-1] or 1))
        elif token.endswith("K") and len(token) > 1:
            lines[row] = [] if token[2:-1] == "2" else lines[row][:column]
        elif len(token) == 1:
            lines[row] += [" "] * (column + 1 - len(lines[row]))
            lines[row][column] = token
            column += 1
    return ["".join(line).rstrip() for line in lines if "".join(line).strip()]


def run(script, folder):
    """Return the lines that a terminal of 120 columns shows at the end of a script."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NUMBA_DISABLE_JIT": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", START + script],
        cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    parts = []
    try:
        while part := os.read(master, 65536):
            parts.append(part)
    except OSError:  # Linux reports the end of the last writer so.
        pass
    os.close(master)
    raw = b"".join(parts).decode()
    assert process.wait() == 0, raw
    return shown(raw)


def alone(lines, start):
    """Return the lines that hold a text, after checking that each begins with it."""
    found = [line for line in lines if start in line]
    assert all(line.startswith(start) for line in found), found
    return found


LINE = "tv.Recorder(tv.Domain.around(X, margin=0.1, resolution=9), data=(X, y))"


@pytest.mark.parametrize("options", ["{}", '{"file": sys.stdout}', '{"leave": False}'])
def test_a_bar_of_tqdm_stays_whole(tmp_path, options):
    lines = run(f"options = {options}\n{PLAIN}", tmp_path)
    assert alone(lines, "tv.Recorder(") == [LINE]
    assert len([line for line in lines if "CaptureWarning" in line]) == 1
    assert not [line for line in lines if "CaptureWarning" in line and "%|" in line]
    bars = alone(lines, "3 steps:")
    assert [line.split("|")[-1].split("[")[0].strip() for line in bars] == (
        [] if "leave" in options else ["3/3"]
    )
    film = alone(lines, "film.gif:")
    assert len(film) == 1
    assert "100%" in film[0]


def test_a_bar_of_rich_stays_whole_and_gets_no_other_beside_it(tmp_path):
    pytest.importorskip("rich")
    lines = run(RICH, tmp_path)
    assert alone(lines, "tv.Recorder(") == [LINE]
    assert len([line for line in lines if "CaptureWarning" in line]) == 1
    assert len(alone(lines, "3 steps:")) == 1
    assert "100%" in alone(lines, "3 steps:")[0]
    assert not any("frame/s" in line for line in lines)


@pytest.mark.slow
def test_the_bars_of_lightning_stay_whole(tmp_path):
    pytest.importorskip("rich")
    lines = run(LIGHTNING, tmp_path)
    line = (
        "tv.LightningRecorder(tv.Domain.around(X, margin=0.1), data=(X, y), every_n_steps=2, "
        "evaluation='dense')  # X, y: recording.data.X and .y, 40 samples of the training data"
    )
    assert alone(lines, "tv.LightningRecorder(") == [line, line]
    assert len([line for line in lines if "CaptureWarning" in line]) == 2
    assert not [line for line in lines if "CaptureWarning" in line and "8/8" in line]
    bars = alone(lines, "Epoch 0")
    assert len(bars) == 2
    assert all("8/8" in bar for bar in bars)


@pytest.mark.slow
def test_the_bar_of_keras_stays_whole(tmp_path):
    pytest.importorskip("keras")
    lines = run(KERAS, tmp_path)
    assert len(alone(lines, "tv.KerasRecorder(")) == 1
    warned = [line for line in lines if "CaptureWarning" in line]
    assert len(warned) == 1
    assert "step" not in warned[0]
    bars = alone(lines, "4/4 ━")
    assert len(bars) == 3
    assert all(bar.count("loss") == 1 for bar in bars)
    film = alone(lines, "film.gif:")
    assert len(film) == 1
    assert "loss" not in film[0]
