"""MLflow, in a database: what is logged is read back by its own client."""

import mlflow
import numpy as np
import pytest

import trainviz as tv


@pytest.mark.parametrize("by", ["run", "client"])
def test_images_have_steps_and_film_and_page_are_artifacts(recording, mlflow_run, tmp_path, by):
    client, run_id = mlflow.MlflowClient(), mlflow_run.info.run_id
    log = tv.log_to(mlflow_run if by == "run" else (client, run_id), recording)
    assert log.failures == {}
    images = [file.path for file in client.list_artifacts(run_id, "images")]
    steps = sorted(int(path.split("+")[2]) for path in images if path.endswith(".png"))
    assert steps == [0, 10, 20, 40]
    assert {path.split("+")[0] for path in images} == {"images/trainviz~still"}
    kept = {file.path for file in client.list_artifacts(run_id, "trainviz")}
    assert kept == {"trainviz/trainviz.gif", "trainviz/trainviz.html"}
    film = client.download_artifacts(run_id, "trainviz/trainviz.gif", str(tmp_path))
    with open(film, "rb") as file:
        assert file.read(6) == b"GIF89a"
    points = client.get_metric_history(run_id, "trainviz/area of birch")
    points.sort(key=lambda point: point.step)
    assert [point.step for point in points] == [0, 10, 20, 30, 40]
    expected = tv.dynamics(recording).areas[:, 1]
    np.testing.assert_allclose([point.value for point in points], expected)


def test_the_active_run_is_logged_to_while_the_model_trains(train, mlflow_run):
    client, run_id = mlflow.MlflowClient(), mlflow_run.info.run_id
    _, log, left = train(lambda recorder: tv.log_to(mlflow, recorder, page=False, film="mp4"))
    assert log.failures == {}
    assert [file.path for file in client.list_artifacts(run_id, "trainviz")] == [
        "trainviz/trainviz.mp4"
    ]
    assert len(client.get_metric_history(run_id, "trainviz/churn")) == 5
    assert left == train()[2]


def test_names_that_mlflow_does_not_take_are_changed(make_recording, mlflow_run):
    recording = make_recording(snapshots=1, class_names=["ä", "b(2)", "c/d"])
    log = tv.log_to(mlflow, recording, film=None, page=False, name="x: y")
    assert log.failures == {}
    metrics = mlflow.MlflowClient().get_run(mlflow_run.info.run_id).data.metrics
    assert {name for name in metrics if "area" in name} == {
        "x_ y/area of _", "x_ y/area of b_2_", "x_ y/area of c/d",
    }  # fmt: skip
