"""Weights & Biases, offline: what is logged is read back from the records of the run."""

from PIL import Image

import trainviz as tv


def test_a_recording_is_logged_in_the_order_of_training(tmp_path, recording, wandb_run, rows_of):
    tv.log_to(wandb_run, recording)
    wandb_run.finish()
    rows, expected = rows_of(tmp_path), tv.dynamics(recording)
    assert [row["trainviz/step"] for row in rows] == [0, 10, 20, 30, 40]
    assert [row["trainviz/area of ash"] for row in rows] == expected.areas[:, 0].tolist()
    captions = [row.get("trainviz/still/caption") for row in rows]
    assert captions == ["epoch 0", "epoch 10", "epoch 20", None, "epoch 40"]
    (kept,) = tmp_path.glob("wandb/offline-run-*/files")
    for row in rows:
        if "trainviz/still/path" in row:
            size = row["trainviz/still/width"], row["trainviz/still/height"]
            assert Image.open(kept / row["trainviz/still/path"]).size == size
    film, page = kept / rows[-1]["trainviz/film/path"], kept / rows[-1]["trainviz/page/path"]
    assert rows[-1]["trainviz/film/_type"] == "video-file"
    assert (film.suffix, film.read_bytes()[4:8]) == (".mp4", b"ftyp")
    assert rows[-1]["trainviz/page/_type"] == "html-file"
    # As it was written: a link to a style sheet would be a request, which the page forbids itself.
    recording.save_page(tmp_path / "page.html", seconds=None)
    assert page.read_text().startswith("<!doctype html>")
    assert 'rel="stylesheet"' not in page.read_text()


def test_the_users_own_steps_are_all_kept(tmp_path, train, wandb_run, rows_of):
    def each_epoch(epoch, loss):
        # Three epochs a row, of which W&B would refuse those below its own step.
        wandb_run.log({"loss": loss}, step=epoch // 3)

    recording, log, left = train(
        lambda recorder: tv.log_to("wandb", recorder, page=False), 9, each_epoch=each_epoch
    )
    wandb_run.log({"test loss": 1.0}, step=100)
    wandb_run.finish()
    rows = rows_of(tmp_path)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses == recording.metrics["loss"][[3, 6, 9]].tolist()
    assert rows[-1]["test loss"] == 1.0
    # Nothing of the recording is replaced either.
    clock = sorted(row["trainviz/step"] for row in rows if "trainviz/step" in row)
    assert clock == list(range(10))
    assert sum("trainviz/still/path" in row for row in rows) == 6
    assert log.failures == {}
    assert left == train(epochs=9)[2]
