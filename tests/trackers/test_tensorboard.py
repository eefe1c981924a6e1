"""TensorBoard: what is logged is read back by its own reader."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import trainviz as tv


def test_a_recording_is_logged_to_a_folder_at_once(tmp_path, recording):
    log = tv.log_to(tmp_path / "run", recording)
    found = EventAccumulator(str(tmp_path / "run"), size_guidance={"images": 0})
    found.Reload()
    assert [still.step for still in found.Images("trainviz/still")] == [0, 10, 20, 40]
    (film,) = found.Images("trainviz/film")
    assert film.encoded_image_string.startswith(b"GIF89a")
    assert log.failures == {}
