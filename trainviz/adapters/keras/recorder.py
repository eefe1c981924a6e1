"""Keras 3: a callback that records ``model.fit``, on the TensorFlow, torch and JAX backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from trainviz._common.providers import install_hint
from trainviz._common.terminal import bar_begins, bar_ends, say
from trainviz.adapters.choices import choose_for
from trainviz.adapters.session import SessionPredictor
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.capture.training_events import TrainingEvents
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs, convert_each, count, to_numbers
from trainviz.evaluation.outputs import Output, PredictProba
from trainviz.recordings.recording import Recording

try:
    import keras
except ImportError as error:
    raise ImportError(install_hint("Keras 3", "KerasRecorder")) from error
if int(keras.__version__.split(".")[0]) < 3:
    raise ImportError(f"{install_hint('Keras 3', 'KerasRecorder')} (found {keras.__version__})")

__all__ = ["KerasRecorder", "keras_predictor"]

Predict = Callable[[Any, Any], Any]


class KerasRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Record a Keras 3 model while ``fit`` trains it.

    Parameters
    ----------
    domain : Domain, optional
        Default: chosen for ``data=(X, y)`` as by :func:`watch`, and printed as code. (Keras
        hands callbacks none of the data that ``fit`` is given.)
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments;
        default ``model(points, training=False)``. ``points`` is a dict or tuple
        of tensors if the domain has several inputs.
    output : str, default "probabilities"
        What the model returns; ``"logits"`` if it has no final softmax or
        sigmoid, ``"values"`` for a regression model; see :func:`trainviz.evaluate`.
        A single sigmoid column becomes two classes.
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
    A second ``fit`` goes on counting. Batch hooks are overridden only with
    ``every_n_steps``, so that Keras can dispatch batches asynchronously.
    With ``background=True``, Keras calls no hook if ``fit`` raises: call
    ``rec.recorder.drain()`` then, before reading the recording.

    With ``path=`` and ``resume=True``, a ``fit`` that starts at a later epoch,
    by ``BackupAndRestore`` or ``initial_epoch=``, continues the recording,
    whatever the order of the callbacks; give both from the first process on. An
    epoch that was backed up but not captured is captured then, without its
    logs. Keras repeats an epoch that was backed up halfway, and goes on
    counting steps; snapshots of the steps before the backup are kept.

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
        domain: Domain | None = None,
        *,
        predict: Predict | None = None,
        output: Output = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        super().__init__()
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
        if domain is None:
            domain, options, line = _chosen(output, predict, options)
            say(line)
        merged = cast(RecorderOptions, {**options, "output": output})
        self.recorder = Recorder(domain, **merged)
        self._events = TrainingEvents(self.recorder)
        self._ask = _KerasPredictor(self, predict)
        self._started = False
        if self.recorder.schedule.counts_steps:
            # Not a method, because Keras dispatches synchronously if the class overrides the hook.
            self.on_train_batch_end = self._after_batch

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.recorder.recording

    def widget(self, **options: Any) -> Any:
        """Return the player as a widget; see :meth:`Recorder.widget`."""
        return self.recorder.widget(**options)

    @property
    def recordings(self) -> list[Recording]:
        """The recording of every model, in order; the last one is ``recording``."""
        return self.recorder.recordings

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Do nothing yet, since only the first epoch's number shows whether training resumes."""
        self._started = False
        if (self.params or {}).get("verbose") in (1, "auto"):
            bar_begins(self)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the state before the first step of this ``fit``."""
        if not self._started:
            self._started = True
            # After a backup within the first epoch, the epoch is 0, but training is resumed.
            anew = epoch == 0 and not self._iterations()
            self._events.start(self._ask, epoch, self._step(), anew=anew)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the end of an epoch, if it is due."""
        self._events.epoch_end(self._ask, epoch + 1, self._step(), dict(logs or {}))
        is_last = self.model.stop_training or epoch + 1 == (self.params or {}).get("epochs")
        if is_last and self.recorder.schedule.final:
            # A callback before this one may restore other weights when training ends.
            self._events.finish(self._ask)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Capture the last state, and what callbacks put in its place, if they do."""
        bar_ends(self)
        if self._started:
            self._events.finish(self._ask)
            self._finish_after_others()
        else:
            # Training was already complete when it was restored from a backup.
            self.recorder.close()

    def _finish_after_others(self) -> None:
        """Capture what callbacks behind this one restore, such as the best weights."""
        history = getattr(self.model, "history", None)
        if not isinstance(history, keras.callbacks.History):
            return

        # Keras adds the history behind all callbacks of the user, and tells it last.
        def on_train_end(logs: Mapping[str, Any] | None = None) -> None:
            del history.on_train_end
            history.on_train_end(logs)
            self._events.finish(self._ask)

        history.on_train_end = on_train_end

    def _after_batch(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        step = self._step()
        if step is not None:
            self._events.step_end(self._ask, step, dict(logs or {}))

    def _step(self) -> int | None:
        # Only for step schedules, since reading the optimizer makes JAX wait for the device.
        if not self.recorder.schedule.counts_steps:
            return None
        return self._iterations()

    def _iterations(self) -> int | None:
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        return None if iterations is None else int(keras.ops.convert_to_numpy(iterations))


def _chosen(
    output: Output, predict: Predict | None, options: RecorderOptions
) -> tuple[Domain, RecorderOptions, str]:
    if options.get("data") is None:
        raise TypeError(
            "KerasRecorder() has no domain, and Keras hands callbacks none of the data that fit is "
            "given: give data=(X, y), for which one is chosen, or take "
            "trainviz.watch(model, X, y), or a domain, e.g. trainviz.Domain.around(X)"
        )
    others = {name: value for name, value in options.items() if name != "data"}
    shown = {
        **({} if predict is None else {"predict": predict}),
        **({} if output == "probabilities" else {"output": output}),
    }
    data = options["data"]
    return choose_for("KerasRecorder", data, output, cast(RecorderOptions, others), shown)


class _KerasPredictor(SessionPredictor):
    """The model that a callback belongs to, as a callable from numpy points to numpy outputs."""

    def __init__(
        self, callback: keras.callbacks.Callback | _Holder, predict: Predict | None
    ) -> None:
        self._callback = callback
        self._predict = predict
        self._streams = _torch_streams()
        self._clone: Any = None
        self._cloned: Any = None
        self._probe: Inputs

    @property
    def module(self) -> Any:
        return self._callback.model

    def undisturbed(self) -> AbstractContextManager[None]:
        model = self._callback.model
        return _undisturbed(model, self._streams, lambda: self.ask(model, self._probe))

    def answer(self, points: Inputs) -> npt.NDArray[Any]:
        every = max(1, count(points) // 4)
        self._probe = convert_each(points, lambda part: part[::every])
        return self.ask(self._callback.model, points)

    def ask(self, model: Any, points: Inputs) -> npt.NDArray[Any]:
        inputs = convert_each(points, lambda part: _tensor(part, model.variable_dtype))
        if self._predict is not None:
            answer = self._predict(model, inputs)
        else:
            answer = model(inputs, training=False)
        return np.asarray(keras.ops.convert_to_numpy(_pick(answer)))

    def frozen(self) -> Callable[[Inputs], npt.NDArray[Any]]:
        if self._streams is not None and self._streams.draws:
            raise RuntimeError("it draws from torch's random stream when asked")
        model = self._callback.model
        if self._cloned is not model or _shapes(self._clone) != _shapes(model):
            self._clone, self._cloned = self._cloned_model(model), model
        return _FrozenKerasPredictor(self, self._clone, _values(model))

    def _cloned_model(self, model: Any) -> Any:
        clone = _clone_model(model)
        with _undisturbed(model, self._streams):
            # A model's config can be incomplete, so the clone's output is compared as well.
            wanted = self.ask(model, self._probe)
            with _undisturbed(clone):
                self.ask(clone, self._probe)  # The first call builds the clone.
            if _shapes(clone) != _shapes(model):
                raise RuntimeError("clone_model returns a model with other variables")
            found = _FrozenKerasPredictor(self, clone, _values(model))(self._probe)
        if not np.allclose(found, wanted, atol=1e-5, equal_nan=True):
            raise RuntimeError("clone_model returns a model that answers otherwise")
        return clone


class _FrozenKerasPredictor:
    """The values of all variables at a capture; assigned to a clone when first called."""

    def __init__(self, predictor: _KerasPredictor, clone: Any, values: list[Any]) -> None:
        self._predictor = predictor
        self._clone = clone
        self._values = values
        self._assigned = False

    def __call__(self, points: Inputs) -> npt.NDArray[Any]:
        if not self._assigned:
            # Captures can share the clone, because they are evaluated one after another.
            for variable, value in zip(self._clone.variables, self._values, strict=True):
                variable.assign(value)
            self._assigned = True
        with _undisturbed(self._clone):
            return self._predictor.ask(self._clone, points)


def _tensor(part: npt.NDArray[Any], dtype: Any) -> Any:
    # Integers, which only preprocess= can return, stay so, as embedding layers need them.
    part = to_numbers(part)
    return keras.ops.convert_to_tensor(part, dtype=None if part.dtype.kind in "iu" else dtype)


@dataclass
class _Holder:
    model: Any


def keras_predictor(model: Any, predict: Predict | None = None) -> PredictProba:
    """Return a Keras model as a callable from numpy points to numpy outputs.

    Parameters
    ----------
    model : keras.Model
    predict : callable, optional
        As for :class:`KerasRecorder`.

    Returns
    -------
    callable
        With a method ``session``, like that of ``TorchPredictor`` in the torch adapter.

    Examples
    --------
    >>> model = keras.Sequential([keras.layers.Dense(3)])
    >>> keras_predictor(model)(np.zeros((5, 2))).shape
    (5, 3)
    """
    return _KerasPredictor(_Holder(model), predict)


def _clone_model(model: Any) -> Any:
    """Return a clone with weights of its own; what Keras draws for it is undone.

    Keras draws the seeds that a configuration leaves open from Python's global
    stream, which belongs to the training, so they are filled in where layers are
    cloned one by one. What a class of the user's draws can only be undone afterwards.
    """
    if type(model).__module__.partition(".")[0] == "keras":
        return keras.models.clone_model(
            model,
            clone_function=lambda layer: type(layer).from_config(_with_seeds(layer.get_config())),
        )
    with host_rng_preserved(again=lambda: keras.models.clone_model(model)):
        return keras.models.clone_model(model)


def _with_seeds(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            name: 0 if name == "seed" and value is None else _with_seeds(value)
            for name, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(map(_with_seeds, config))
    return config


def _values(model: Any) -> list[Any]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]


def _shapes(model: Any) -> list[Any]:
    return [(tuple(variable.shape), variable.dtype) for variable in model.variables]


def _torch_streams() -> Any:
    """Return torch's random streams if Keras runs on torch, else None."""
    if keras.backend.backend() != "torch":
        return None
    from trainviz.adapters.torch.isolation import TorchRandomStreams

    return TorchRandomStreams()


@contextmanager
def _undisturbed(
    model: Any, streams: Any = None, again: Callable[[], object] | None = None
) -> Iterator[None]:
    """Restore a model's state (moving averages, random seeds) after the block.

    Without ``streams``, for a clone that is not trained, no global state is
    changed that a concurrent training uses.
    """
    state = [
        (variable, np.array(keras.ops.convert_to_numpy(variable)))
        for variable in model.non_trainable_variables
    ]
    try:
        with _without_gradients(model, streams, again):
            yield
    finally:
        for variable, before in state:
            after = keras.ops.convert_to_numpy(variable)
            if not np.array_equal(after, before, equal_nan=before.dtype.kind == "f"):
                variable.assign(before)


def _without_gradients(
    model: Any, streams: Any, again: Callable[[], object] | None
) -> AbstractContextManager[None]:
    if keras.backend.backend() != "torch":
        return nullcontext()
    from trainviz.adapters.torch.isolation import evaluating, undisturbed

    return evaluating(model) if streams is None else undisturbed(model, streams, again)


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
