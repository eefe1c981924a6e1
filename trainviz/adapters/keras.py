"""Keras 3: a callback that records ``model.fit``, on the TensorFlow, torch and JAX backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from trainviz.adapters import missing
from trainviz.domain import Domain
from trainviz.predictions import Output
from trainviz.recorder import Recorder, RecorderOptions
from trainviz.recording import Recording
from trainviz.training import TrainingEvents

try:
    import keras
except ImportError as error:
    raise ImportError(missing("Keras 3", "keras")) from error
if int(keras.__version__.split(".")[0]) < 3:
    raise ImportError(f"{missing('Keras 3', 'keras')} (found {keras.__version__})")

__all__ = ["KerasRecorder"]

Predict = Callable[[Any, Any], Any]


class KerasRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Record a Keras 3 model while ``fit`` trains it.

    Parameters
    ----------
    domain : Domain
    predict : callable, optional
        ``(model, points) -> output`` for models that are not called with the
        points alone; default ``model(points, training=False)``.
    output : {"probabilities", "logits", "log_probabilities"}, default "probabilities"
        What the model returns; ``"logits"`` for one that ends without softmax
        or sigmoid. A single sigmoid column becomes two classes.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``,
        ``every_n_steps``, ``at``, ``schedule``, ``data``, ``class_names``, ...

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Notes
    -----
    Snapshots count *completed* epochs: 0 is the model before its first step.
    A second ``fit`` goes on counting. Batch hooks stay untouched unless
    ``every_n_steps`` asks for them, so Keras keeps its asynchronous dispatch.

    Examples
    --------
    >>> import keras, numpy as np, trainviz as tv
    >>> X = np.random.default_rng(0).normal(size=(32, 2))
    >>> model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    >>> model.compile(loss="binary_crossentropy")
    >>> rec = tv.KerasRecorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5))
    >>> _ = model.fit(X, X[:, 0] > 0, epochs=2, verbose=0, callbacks=[rec])
    >>> rec.recording.epochs
    array([0, 1, 2])
    """

    def __init__(
        self,
        domain: Domain,
        *,
        predict: Predict | None = None,
        output: Output = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        super().__init__()
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
        merged = cast(RecorderOptions, {**options, "output": output})
        self.recorder = Recorder(domain, **merged)
        self._events = TrainingEvents(self.recorder)
        self._predict = predict
        self._started = False
        if self.recorder.schedule.counts_steps:
            # Only now: Keras dispatches batches synchronously as soon as a hook is overridden.
            self.on_train_batch_end = self._after_batch

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.recorder.recording

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Wait for the first epoch, whose number tells whether training is resumed."""
        self._started = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the state before the first step of this ``fit``."""
        if not self._started:
            self._started = True
            self._events.start(self._ask, epoch, self._step())

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the end of an epoch, if it is due."""
        self._events.epoch_end(self._ask, epoch + 1, self._step(), dict(logs or {}))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the last state, unless that is done."""
        self._events.finish(self._ask)

    def _after_batch(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        step = self._step()
        if step is not None:
            self._events.step_end(self._ask, step, dict(logs or {}))

    def _step(self) -> int | None:
        # Reading the optimizer makes JAX wait for the device: only where steps are asked for.
        if not self.recorder.schedule.counts_steps:
            return None
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        return None if iterations is None else int(keras.ops.convert_to_numpy(iterations))

    @property
    def _ask(self) -> _Predictor:
        return _Predictor(self.model, self._predict)


class _Predictor:
    """A Keras model as a callable from numpy points to numpy outputs."""

    def __init__(self, model: Any, predict: Predict | None) -> None:
        self._model = model
        self._predict = predict
        self._prepared = False

    @contextmanager
    def session(self) -> Iterator[None]:
        """Ask several times, but restore the model's state once."""
        with _undisturbed(self._model):
            self._prepared = True
            try:
                yield
            finally:
                self._prepared = False

    def __call__(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not self._prepared:
            with self.session():
                return self(points)
        model = self._model
        inputs = keras.ops.convert_to_tensor(points, dtype=model.variable_dtype)
        if self._predict is not None:
            answer = self._predict(model, inputs)
        else:
            answer = model(inputs, training=False)
        return np.asarray(keras.ops.convert_to_numpy(_pick(answer)))


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Leave a model's state (moving averages, random seeds) as it was."""
    with _without_gradients(model):
        state = [
            (variable, np.array(keras.ops.convert_to_numpy(variable)))
            for variable in model.non_trainable_variables
        ]
        try:
            yield
        finally:
            for variable, before in state:
                after = keras.ops.convert_to_numpy(variable)
                if not np.array_equal(after, before, equal_nan=before.dtype.kind == "f"):
                    variable.assign(before)


@contextmanager
def _without_gradients(model: Any) -> Iterator[None]:
    if keras.backend.backend() != "torch":
        yield
        return
    from trainviz.adapters.torch import undisturbed

    with undisturbed(model):
        yield


def _pick(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        if len(answer) != 1:
            raise TypeError(
                f"the model returns a dict with the entries {list(answer)}; say which one to use: "
                f"predict=lambda model, x: model(x, training=False)[{next(iter(answer), '')!r}]"
            )
        return next(iter(answer.values()))
    if isinstance(answer, (list, tuple)):
        return answer[0]
    return answer
