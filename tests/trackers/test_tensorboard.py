"""TensorBoard: what is logged is read back by its own reader."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import trainviz as tv


def values(found, tag):
    return [point.step for point in found.Scalars(tag)], [
        point.value for point in found.Scalars(tag)
    ]


def test_a_recording_is_logged_to_a_folder_at_once(tmp_path, recording, events_of):
    log = tv.log_to(tmp_path / "run", recording)
    found = events_of(tmp_path / "run")
    stills = found.Images("trainviz/still")
    assert [still.step for still in stills] == [0, 10, 20, 40]
    assert len({(still.width, still.height) for still in stills}) == 1
    assert log.failures == {}
    assert (tmp_path / "run" / "trainviz.html").read_text().startswith("<!doctype html>")


def test_the_film_is_a_gif_that_plays(tmp_path, recording, events_of):
    tv.log_to(tmp_path, recording, stills=None, page=False)
    found = events_of(tmp_path)
    (film,) = found.Images("trainviz/film")
    picture = Image.open(io.BytesIO(film.encoded_image_string))
    assert (picture.format, picture.is_animated, picture.size) == (
        "GIF", True, (film.width, film.height),
    )  # fmt: skip
    assert found.Tags()["images"] == ["trainviz/film"]


def test_the_curves_are_the_dynamics_of_the_recording(tmp_path, recording, events_of):
    tv.log_to(tmp_path, recording, stills=None, film=None, page=False)
    found, expected = events_of(tmp_path), tv.dynamics(recording)
    steps, areas = values(found, "trainviz/area of birch")
    assert steps == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(areas, expected.areas[:, 1], rtol=1e-6)
    np.testing.assert_allclose(
        values(found, "trainviz/boundary length")[1], expected.boundary_length, rtol=1e-6
    )
    assert values(found, "trainviz/churn")[0] == [10, 20, 30, 40]
    np.testing.assert_allclose(values(found, "trainviz/churn")[1], expected.churn[1:], rtol=1e-6)
    learnt = [float((expected.first_learnt <= epoch).mean()) for epoch in steps]
    np.testing.assert_allclose(values(found, "trainviz/first learnt")[1], learnt, rtol=1e-6)


@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_a_summary_writer_gets_stills_while_the_model_trains(tmp_path, train, events_of, package):
    writer = pytest.importorskip(package).SummaryWriter(str(tmp_path))
    meanwhile = []

    def each_epoch(epoch, loss):
        writer.add_scalar("loss", loss, epoch + 1)
        if epoch == 3:
            writer.flush()
            meanwhile.extend(still.step for still in events_of(tmp_path).Images("trainviz/still"))

    recording, _, left = train(
        lambda recorder: tv.log_to(writer, recorder, page=False), each_epoch=each_epoch
    )
    writer.close()
    _, _, alone = train()
    assert left == alone
    assert meanwhile[:3] == [0, 1, 2]
    found = events_of(tmp_path)
    assert [still.step for still in found.Images("trainviz/still")] == [0, 1, 2, 4, 5]
    assert [film.step for film in found.Images("trainviz/film")] == [5]
    assert values(found, "trainviz/churn")[0] == [1, 2, 3, 4, 5]
    # In the same run as the user's own curves, on their clock.
    np.testing.assert_allclose(values(found, "loss")[1], recording.metrics["loss"][1:], rtol=1e-6)
    assert len(list(tmp_path.glob("events.*"))) == 1


def test_a_folder_needs_neither_tensorflow_nor_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys, trainviz as tv\n"
         "recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))\n"
         "recorder.capture(lambda X: X[:, 0], epoch=0)\n"
         f"tv.log_to({str(tmp_path)!r}, recorder.recording)\n"
         "print([name for name in ('tensorflow', 'torch', 'keras') if name in sys.modules])"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr
    assert list(tmp_path.glob("events.*"))


def test_a_recording_by_steps_is_logged_by_steps(tmp_path, events_of):
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5), every_n_steps=10)
    with tv.log_to(tmp_path, recorder, stills=2, name="plane/b") as log:
        for step in range(0, 50, 10):
            recorder.capture(lambda X, step=step: X[:, 0] * step / 50, epoch=step // 30, step=step)
    found = events_of(tmp_path)
    assert [still.step for still in found.Images("plane/b/still")] == [0, 20, 40]
    assert values(found, "plane/b/churn")[0] == [10, 20, 30, 40]
    assert (tmp_path / "plane-b.html").exists()
    assert repr(log) == "TrackerLog(TensorBoard, 3 stills, 1 film)"


def test_several_fits_in_a_block_are_one_film(tmp_path, events_of):
    from sklearn.linear_model import SGDClassifier

    X = np.random.default_rng(0).normal(size=(40, 2))
    model = SGDClassifier(loss="log_loss", random_state=0).partial_fit(X[:2], [0, 1], [0, 1])
    recorder = tv.SklearnRecorder(model, tv.Domain((-1, 1), (-1, 1), points_per_axis=6))
    with tv.log_to(tmp_path, recorder, page=False):
        for _ in range(2):
            with recorder:
                model.partial_fit(X, X[:, 0] > 0)
                recorder.epoch_end()
    films = events_of(tmp_path).Images("trainviz/film")
    assert [film.step for film in films] == [len(recorder.recording) - 1]


def test_maps_without_classes_have_no_curves(tmp_path, events_of):
    recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5), output="values")
    recorder.capture(lambda X: X[:, :1], epoch=1)
    log = tv.log_to(tmp_path, recorder.recording, mode="values", page=False)
    found = events_of(tmp_path)
    assert (log.failures, found.Tags()["scalars"]) == ({}, [])
    assert len(found.Images("trainviz/still")) == 1
