"""Points without labels, as of a clustering: drawn in grey, and none is wrong."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

import trainviz as tv
from trainviz.player.page import page_of

X = make_blobs(60, centers=3, random_state=0)[0]
MODEL = KMeans(3, n_init=1, random_state=0).fit(X)


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_points_of_a_clustering_are_grey_and_none_is_wrong(tmp_path):
    recording = tv.record(MODEL, X, resolution=20, path=tmp_path / "a.zarr")
    for one in (recording, tv.open_recording(tmp_path / "a.zarr"), recording[:]):
        np.testing.assert_allclose(one.data.points, X)
        assert one.data_labels is None
        assert (one.data_predictions(0) == MODEL.predict(X)).all()
        film = tv.animate(one)
        assert (film.mode.point_colors(one) == 128).all()
        assert legend_of(film.still()) == ["0", "1", "2"]
        assert film[0].shape == (*film.shape, 3)
        assert '"labels":null' in page_of(one).replace('"labels": null', '"labels":null')
        assert tv.compare([one, one]).still()
        assert tv.dynamics(one).first_learnt is None


def test_a_recorder_takes_points_without_labels():
    domain = tv.Domain.around(X, resolution=20)
    recorder = tv.SklearnRecorder(MODEL, domain, output="labels", data=(X, None)).start()
    assert recorder.recording.data_labels is None
    assert recorder.recording.class_names == ["0", "1", "2"]
    recorder.recorder.close()


def test_points_of_values_need_their_values():
    with pytest.raises(ValueError, match=r"data=\(X, None\): points of a map of values"):
        tv.Recorder(tv.Domain.around(X, resolution=5), output="values", data=(X, None))
