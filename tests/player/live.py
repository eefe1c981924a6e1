"""What the tests of the live page share: a server, and runs for it."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np

import trainviz as tv


def record(path, epochs=range(3), *, n_classes=2, resume=False, overwrite=False, **options):
    """Record a border that moves to the left, and return the recorder."""
    domain = options.pop("domain", tv.Domain((-1, 1), (-1, 1), points_per_axis=24))
    recorder = tv.Recorder(domain, path=path, resume=resume, overwrite=overwrite, **options)
    for epoch in epochs:
        capture(recorder, epoch, n_classes)
    return recorder


def capture(recorder, epoch, n_classes=2):
    model = partial(moving, epoch=epoch, n_classes=n_classes)
    return recorder.capture(model, epoch=epoch, metrics={"loss": 1 / (epoch + 1)})


def moving(X, epoch, n_classes):
    odds = np.exp(np.stack([4 * k * (X[:, 0] + 0.05 * epoch) for k in range(n_classes)], axis=1))
    return odds / odds.sum(axis=1, keepdims=True)


class Server:
    """``trainviz serve`` in a process of its own."""

    def __init__(self, *arguments, port=0):
        command = [sys.executable, "-m", "trainviz", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self.errors = []
        threading.Thread(target=self._collect, daemon=True).start()
        self.address = self.process.stdout.readline().strip()
        self.url = self.address.partition("#")[0]

    def _collect(self):
        self.errors.extend(self.process.stderr)

    def interrupt(self):
        """Press ctrl-C, and return how many seconds the process took to end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        return time.monotonic() - begun

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def until(condition, seconds=10):
    """Return the first true value of a function."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true within {seconds} s")


TRAINING = """
import sys

import numpy as np
import torch

import trainviz as tv

path, first = sys.argv[1], int(sys.argv[2])
torch.manual_seed(first)
X = np.random.default_rng(0).normal(size=(60, 2))
y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
optimizer = torch.optim.Adam(net.parameters(), 0.02)
domain = tv.Domain((-3, 3), (-3, 3), points_per_axis=120)
rec = tv.TorchRecorder(
    net, domain, every=1, path=path, resume=True, data=(X, y), class_names=["low", "mid", "high"]
)
rec.start(epoch=first) if first else rec.start()
inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
print("started", flush=True)
for epoch, _ in enumerate(sys.stdin, first):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(inputs), targets)
    loss.backward()
    optimizer.step()
    rec.epoch_end(epoch, loss=loss.item())
    print(epoch + 1, flush=True)
rec.finish()
"""


class Training:
    """A process that trains a network of torch, one epoch whenever it is told to."""

    def __init__(self, path, first=0):
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, path, str(first)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "started\n"

    def epoch(self):
        """Train one epoch, and return its number once it is captured."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.communicate()
