"""What a user's own code looks like to a type checker: checked by ``.ci/package``, never run."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import trainviz as tv
from trainviz import Domain, Recorder, Recording, Snapshot


class Doubt(tv.Mode):
    """A mode of one's own."""

    name = "doubt"
    label = "1 - highest probability"
    guide = "scale"
    limits = (0.0, 1.0)

    def paint(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        return self.scale(1 - probabilities.max(axis=0))


def model(X: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-X[:, 0]))


def record(folder: Path) -> Recording:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = X[:, 0] > 0
    domain = Domain.around(X, resolution=40)
    recorder = Recorder(domain, data=(X, y), path=folder / "run.zarr", every=2)
    for epoch in range(5):
        kept = recorder.capture(model, epoch=epoch, metrics={"loss": 1 / (epoch + 1)})
        assert_type(kept, Snapshot | None)
    recorder.close()
    return recorder.recording


def show(recording: Recording) -> None:
    tv.register_mode(Doubt)
    assert_type(recording[0], Snapshot)
    assert_type(recording[1:], Recording)
    film = tv.animate(recording, mode="region", interpolate=5, title="A line")
    assert_type(film, tv.Animation)
    assert_type(film.save("film.mp4"), Path)
    film.still("still.png", epoch=2)
    both = tv.compare([recording, recording], labels=["one", "other"])
    assert_type(both, tv.Comparison)
    both.save("both.gif")
    found = tv.dynamics(recording)
    assert_type(found, tv.Dynamics)
    if found.forgetting is not None:
        print(found.forgetting.sum())
    line = tv.kymograph(recording, (-1, 0), (1, 0))
    assert_type(line, tv.Kymograph)
    for snapshot in recording:
        print(snapshot.epoch, snapshot.probabilities.shape)


def evaluate() -> npt.NDArray[np.float32]:
    domain = Domain((-1, 1), (-1, 1), points_per_axis=20)
    return tv.evaluate(model, domain)


def frameworks(net: object) -> None:
    schedule = tv.Schedule.geometric(1.2)
    domain = Domain(xlim=(-1, 1), ylim=(-1, 1), step=0.1)
    with tv.SklearnRecorder(net, domain, schedule=schedule) as recorder:
        recorder.epoch_end(0, loss=0.5)
    assert_type(recorder.recording, Recording)
    tv.TorchRecorder(net, domain)
    tv.KerasRecorder(domain)
    tv.LightningRecorder(domain)
    try:
        tv.open_recording("run.zarr")
    except tv.RecordingError as error:
        print(error)
    # Fails if a name that does not exist passes as one that may be anything.
    print(tv.recrod)  # type: ignore[attr-defined]  # pyright: ignore
