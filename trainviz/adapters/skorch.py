"""skorch: a callback that records ``net.fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import takewhile
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, Unpack

from trainviz._common.options import shows_defaults, with_defaults
from trainviz._common.providers import install_hint
from trainviz.adapters.callback import CallbackRecorder
from trainviz.adapters.session import SessionPredictor
from trainviz.capture.recorder import RECORDER_DEFAULTS, Recorder, RecorderOptions
from trainviz.capture.training_events import TrainingEvents
from trainviz.capture.training_state import Stage
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs, convert_each
from trainviz.evaluation.outputs import Output

try:
    import torch
    from skorch.callbacks import Callback
    from skorch.dataset import Dataset
    from torch.utils.data import DataLoader

    from trainviz.adapters.torch.isolation import TorchRandomStreams, undisturbed
except ImportError as error:
    raise ImportError(install_hint("skorch", "SkorchRecorder")) from error

__all__ = ["SkorchRecorder"]

Predict = Callable[[Any, Any], Any]
_BOOKKEEPING = ("epoch", "dur")
_BOOKKEEPING_ENDS = ("_best", "_batch_count")


class SkorchRecorder(CallbackRecorder, Callback):  # type: ignore[misc]
    """Record a skorch net while ``fit`` or ``partial_fit`` trains it.

    Parameters
    ----------
    domain : Domain
    predict : callable, optional
        ``(net, points) -> output``; default is ``net.predict_proba(points)``.
    output : str, default "probabilities"
        What that returns: ``"values"`` for a ``NeuralNetRegressor``, ``"logits"`` for a net
        whose criterion is none of those that ``predict_proba`` knows.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``,
        ``every_n_steps``, ``at``, ``schedule``, ``data``, ``class_names``, ``path``, ...

    Attributes
    ----------
    recorder : Recorder
        Made of the parameters at the first ``fit``, or when it is read first.
    recording : Recording

    Raises
    ------
    ValueError, TypeError
        At the first ``fit``, if an argument is not as described: as scikit-learn
        expects it, the constructor keeps arguments as they are, and
        ``net.set_params(callbacks__SkorchRecorder__every=5)`` changes them.

    Notes
    -----
    Snapshots count *completed* epochs: 0 is the net before its first step. The scores in the net's
    history are the metrics. ``partial_fit``, ``warm_start=True`` and a history that
    ``net.load_params`` or ``LoadInitState`` has loaded go on counting; in another process, with
    ``path=`` and ``resume=True``. Its place in ``callbacks=`` does not matter: it is
    called before those that stop the training, and what they restore at the
    end, such as the best weights, is captured in one more snapshot.

    ``clone`` and searches of scikit-learn copy the callbacks of a net: what a copy records is
    in its own ``dict(net.callbacks_)["SkorchRecorder"].recording``.

    Examples
    --------
    >>> import numpy as np, skorch, torch, trainviz as tv
    >>> X = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    >>> y = (X[:, 0] > 0).astype("int64")
    >>> rec = tv.SkorchRecorder(tv.Domain.around(X, resolution=9), every=2)
    >>> net = skorch.NeuralNetClassifier(
    ...     torch.nn.Linear(2, 2), criterion=torch.nn.CrossEntropyLoss, max_epochs=3,
    ...     callbacks=[rec], verbose=0)
    >>> _ = net.fit(X, y)
    >>> rec.recording.epochs
    array([0, 2, 3])
    """

    @shows_defaults(RECORDER_DEFAULTS, complete=True)
    def __init__(
        self,
        domain: Domain,
        *,
        predict: Predict | None = None,
        output: Output = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        # skorch takes every attribute without a final underscore for a parameter.
        self.domain = domain
        self.predict = predict
        self.output = output
        for name, value in with_defaults(options, RECORDER_DEFAULTS, "SkorchRecorder").items():
            setattr(self, name, value)

    @property
    def recorder(self) -> Recorder:  # type: ignore[override]
        """The recorder of the present parameters."""
        if "recorder_" not in self.__dict__:
            self.initialize()
        return self.recorder_

    def initialize(self) -> Self:
        """Make a recorder, unless there is one of the same parameters."""
        given = {name: getattr(self, name) for name in ("domain", "predict", "output")}
        options = {name: getattr(self, name) for name in RECORDER_DEFAULTS}
        known, now = self.__dict__.get("given_"), {**given, **options}
        if known is None or any(known[name] is not value for name, value in now.items()):
            if self.predict is not None and not callable(self.predict):
                raise TypeError(
                    f"predict={self.predict!r}: expected a callable (net, points) -> output"
                )
            chosen = cast(RecorderOptions, options)
            self.recorder_ = Recorder(self.domain, output=self.output, **chosen)
            self.events_ = TrainingEvents(self.recorder_)
            self.given_ = now
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Take the place among the net's callbacks that the captures need."""
        self.ask_ = _SkorchPredictor(net, self.predict)
        self.started_, self.steps_, self.before_ = False, 0, 0
        own = next(pair for pair in net.callbacks_ if pair[1] is self)
        others = [
            pair for pair in net.callbacks_
            if pair[1] is not self and getattr(pair[1], "recorder", None) is not self
        ]  # fmt: skip
        defaults = {name for name, _ in net.get_default_callbacks()}
        first = len(list(takewhile(lambda pair: pair[0] in defaults, others)))
        # Another list, since skorch is going through this one. Others may stop the training or
        # restore other weights, and hide the last epoch from those behind them.
        net.callbacks_ = [*others[:first], own, *others[first:], (_END, _AfterOthers(self))]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Capture the state before the first step of this fit."""
        done = len(net.history) - 1
        self.before_ = self.steps_
        if self.started_:
            self._pick_up_scores(net, -2)
            return
        self.started_ = True
        state = self.events_.state
        if done and state.captured is not None and done < state.epoch:
            state.stage = Stage.RESUMED  # A history of an earlier moment was loaded.
        self._learn_classes(net)
        self.events_.start(self.ask_, done, self._step())

    def on_batch_end(self, net: Any, batch: Any = None, training: Any = None, **kw: Any) -> None:
        """Capture an optimisation step, if it is due."""
        if training and self.recorder_.schedule.counts_steps:
            self.steps_ = self.before_ + len(net.history[-1]["batches"])
            self.events_.step_end(self.ask_, self.steps_)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Capture the end of an epoch, if it is due."""
        self.events_.epoch_end(self.ask_, len(net.history), self._step(), _scores(net, -1))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Capture the last state, unless it is already captured."""
        if self.started_:
            self._pick_up_scores(net, -1)
            self.events_.finish(self.ask_)
        else:
            self.recorder_.close()

    def _after_others(self, net: Any) -> None:
        """Capture the weights that another callback has restored at the end, if any."""
        net.callbacks_ = [pair for pair in net.callbacks_ if pair[0] != _END]
        if self.started_:
            self.events_.finish(self.ask_)

    def _step(self) -> int | None:
        return self.steps_ if self.recorder_.schedule.counts_steps else None

    def _learn_classes(self, net: Any) -> None:
        # A regressor has none, nor has a net that is trained on a data set.
        with suppress(AttributeError):
            self.recorder_.learn_classes(np.asarray(net.classes_).tolist())

    def _pick_up_scores(self, net: Any, row: int) -> None:
        # Scores of callbacks behind this one are in the history only now.
        if self.events_.state.epoch == len(net.history) + row + 1 + self.events_.state.epoch_offset:
            self.events_.amend(_scores(net, row))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "ask_"}


_END = "trainviz_end"


class _AfterOthers(Callback):  # type: ignore[misc]
    """Tell the recorder when all other callbacks have seen the end of the training."""

    def __init__(self, recorder: SkorchRecorder) -> None:
        self.recorder = recorder

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.recorder._after_others(net)


class _SkorchPredictor(SessionPredictor):
    """A net as a callable from numpy points to class probabilities, which leaves it as it was."""

    def __init__(self, net: Any, predict: Predict | None) -> None:
        self._net, self._predict = net, predict
        self._streams = TorchRandomStreams()
        self._probe: Inputs | None = None

    @property
    def module(self) -> Any:
        return self._net.module_

    def undisturbed(self) -> AbstractContextManager[None]:
        return undisturbed(self.module, self._streams, self._again)

    def answer(self, points: Inputs) -> npt.NDArray[Any]:
        self._probe = convert_each(points, lambda part: part[:1])
        return self._ask(points)

    def frozen(self) -> Any:
        raise RuntimeError("skorch can only ask the net that is being trained")

    def _again(self) -> None:
        if self._probe is not None:
            self._ask(self._probe)

    def _ask(self, points: Inputs) -> npt.NDArray[Any]:
        parameter = next(self.module.parameters(), None)
        kind = np.float64 if str(getattr(parameter, "dtype", "")) == "torch.float64" else np.float32

        def convert(part: Any) -> Any:
            return part.astype(kind) if np.asarray(part).dtype.kind == "f" else part

        inputs = convert_each(points, convert)
        with _seeds_of_its_own(self._net):
            if self._predict is not None:
                return np.asarray(self._predict(self._net, inputs))
            if isinstance(inputs, np.ndarray) and self._net.dataset is Dataset:
                inputs = _Rows(inputs)
            return np.asarray(self._net.predict_proba(inputs))


_GENERATOR = "iterator_valid__generator"


@contextmanager
def _seeds_of_its_own(net: Any) -> Iterator[None]:
    """Let the net's data loaders draw from a generator that nobody else has.

    skorch makes a loader for each answer, and a loader draws a seed for its workers, also if
    it has none: from the stream that training draws from, or a generator that the user chose.
    """
    if net.iterator_valid is not DataLoader:
        yield
        return
    # Not by setattr, which a net takes for a change of its parameters.
    attributes = net.__dict__
    chosen = {_GENERATOR: attributes[_GENERATOR]} if _GENERATOR in attributes else {}
    attributes[_GENERATOR] = torch.Generator()
    try:
        yield
    finally:
        del attributes[_GENERATOR]
        attributes.update(chosen)


class _Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    """What skorch's own data set has for an array, but several times as fast."""

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._rows, self._label = torch.from_numpy(rows), torch.zeros(1)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._rows[index], self._label


def _scores(net: Any, row: int) -> Mapping[str, Any]:
    """Return the scores of an epoch in the net's history."""
    return {
        name: value for name, value in net.history[row].items()
        if name not in _BOOKKEEPING and not name.endswith(_BOOKKEEPING_ENDS)
        and not name.startswith("event_")
        and isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    }  # fmt: skip
