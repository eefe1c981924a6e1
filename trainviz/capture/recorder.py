"""The recorder: evaluates a model as its schedule says, and stores the snapshots."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from trainviz._common.checks import check_switch
from trainviz._common.options import shows_defaults, with_defaults
from trainviz._common.providers import provided
from trainviz.capture.background import check_freezable
from trainviz.capture.plausibility import doubt_logits, doubt_order
from trainviz.capture.probe import Probe
from trainviz.capture.random_streams import HostStreams
from trainviz.capture.recording_writer import RecordingWriter
from trainviz.capture.schedule import Schedule, make_schedule
from trainviz.capture.training_state import Stage, TrainingState
from trainviz.capture.validation import (
    SnapshotValidator,
    check_classes,
    check_names,
    plain_metrics,
)
from trainviz.domain.domain import Domain, require_domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import RecordingError
from trainviz.evaluation.evaluator import Evaluator, Method, check_method, session
from trainviz.evaluation.outputs import (
    Output,
    PredictProba,
    check_output,
    chunk_size,
    probabilities_at,
    recorded_as,
)
from trainviz.recordings.history import LogEntry
from trainviz.recordings.opening import start_recording
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.store import Precision, Resume

__all__ = ["Recorder", "RecorderOptions", "check_options"]


class RecorderOptions(TypedDict, total=False):
    """The keyword arguments of :class:`Recorder` that mean the same in every adapter."""

    every: int | None
    every_n_steps: int | None
    at: Iterable[int] | None
    schedule: Schedule | Literal["geometric"] | None
    initial: bool
    final: bool
    data: tuple[Any, Any] | Mapping[str, tuple[Any, Any]] | None
    class_names: Sequence[str] | None
    classes: Sequence[Any] | None
    on_error: Literal["warn", "raise"]
    batch_size: int | Literal["auto"]
    evaluation: Method
    tolerance: float
    background: bool
    path: str | os.PathLike[str] | None
    overwrite: bool
    resume: Resume
    precision: Precision
    durable: bool


RECORDER_DEFAULTS: RecorderOptions = {
    "every": None, "every_n_steps": None, "at": None, "schedule": None, "initial": True,
    "final": True, "data": None, "class_names": None, "classes": None, "on_error": "warn",
    "batch_size": "auto", "evaluation": "auto", "tolerance": 1 / 255, "background": False,
    "path": None, "overwrite": False, "resume": False, "precision": "float16",
    "durable": False,
}  # fmt: skip


class Recorder:
    """Capture class probability maps of any classifier while it learns.

    The recorder takes a predict callable and depends on no framework; the
    adapters (:class:`~trainviz.TorchRecorder` and its like) call it.

    Parameters
    ----------
    domain : Domain
        Where the model is evaluated.
    every : int, optional
        Capture every ``every``-th epoch (default 1, unless another condition is given).
    every_n_steps : int, optional
        Capture every n-th optimisation step, if :meth:`capture` is given the step
        (adapters with hooks for steps give it).
    at : iterable of int, optional
        Capture these epochs.
    schedule : Schedule or "geometric", optional
        Instead of the three above.
    initial, final : bool, default True
        Capture the state before training, and the state at its end.
    data : tuple of array-like, or dict of str to tuple, optional
        ``(X, y)``: inputs and their labels (integers or strings; numbers for
        ``output="values"``; one column of 0 and 1 a label for multi-label
        models; None for points without labels, as of a clustering) that are stored
        with the recording and drawn over the map. A classifier is evaluated at these
        points too, at every capture, so that its errors can be marked. ``{"train": (X, y),
        "test": (X2, y2)}``: groups, each with a marker of its own, and its accuracy
        at every capture as a metric (``"train accuracy"``).
    class_names : sequence of str, optional
        One per class or label, in the order of the model's output columns; for
        ``output="values"`` the name of the value.
    classes : sequence, optional
        The label of each output column; needed if ``y`` holds neither column
        numbers, 0 to C - 1, nor ``class_names``, and the model does not know it
        (as scikit-learn's do). ``repr(recording)`` tells the order.
    output : str, default "probabilities"
        What the predict callable returns: ``"probabilities"``, ``"logits"``,
        ``"log_probabilities"``, ``"multilabel"``, ``"multilabel_logits"`` or
        ``"values"``; see :func:`trainviz.evaluate`.
    on_error : {"warn", "raise"}, default "warn"
        Whether a capture that fails *during* training is skipped, with one
        warning, or raises. The first capture always raises, so that a mistake
        shows before training time is spent.
    batch_size : int or "auto", default "auto"
        Points per call of the model.
    evaluation : {"auto", "adaptive", "dense"}, default "auto"
        ``"dense"`` evaluates the model at every grid point, ``"adaptive"`` only
        where the map is not smooth, ``"auto"`` takes what the first two captures
        show to be faster; see :func:`trainviz.evaluate`. ``Snapshot.method``
        says which it was, and ``Snapshot.error`` how good the map is.
    tolerance : float, default 1/255
        Allowed error of a probability, for the adaptive evaluation.
    background : bool, default False
        Copy the model at a capture and evaluate the copy on another thread,
        while training goes on. The first capture is made at once. At most
        three copies exist; when they are all in use, training waits.
        :meth:`capture` returns None then, snapshots appear in ``recording``
        in order, and :meth:`drain` waits for them (so does the end of a fit,
        of a ``with`` block and of the interpreter). Failures show at the next
        call of the recorder. A model that cannot be copied, or that draws
        random numbers when it is called, is captured at once, with one warning;
        the notes below say what a copy does not include.
    path : str or PathLike, optional
        Record into a Zarr group here (a folder, or an address that fsspec
        knows), one snapshot after another, instead of into memory. A process
        that is killed leaves a recording with every snapshot whose capture had
        returned; :func:`trainviz.open_recording` opens it.
    overwrite : bool, default False
        Replace the recording at ``path``. Nothing else is ever replaced.
    resume : bool or "checkpoint", default False
        Continue the recording at ``path``, if there is one. Its snapshots from
        the first epoch captured now are superseded. ``"checkpoint"`` does so
        only once ``allow_resume()`` is called (``LightningRecorder``
        calls it when it loads a checkpoint of the recording).
    precision : {"float16", "float32"}, default "float16"
        In which maps that were evaluated densely are stored on disk; half
        precision keeps a probability to within 0.0003. Adaptive ones are
        stored as they are.
    durable : bool, default False
        Whether a snapshot outlasts a power cut once its capture has returned.
        By default it does after two seconds or so, and once the recorder is
        closed.

    Attributes
    ----------
    recording : Recording
        What has been captured so far; it grows with the recorder.
    recordings : list of Recording
        One for each model that a recorder in memory was used for, one after
        another, such as the runs of a sweep; the last one is ``recording``.
    failures : list of tuple of (int, str)
        Epoch and message of each capture that was skipped.
    location : str or None
        The absolute ``path``.
    state : TrainingState
        The progress of training, updated by the adapters.
    writer : RecordingWriter
        Writes the recording.
    answers : ndarray or None
        What :meth:`probe` returns of the model at its last capture, where an adapter asked for it.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described; the message says which.
    RecordingError
        If ``path`` is not free, or does not fit what is to be recorded.

    Notes
    -----
    The copy that ``background=True`` makes includes weights, buffers and plain
    attributes. It does not include what ``predict=`` uses besides the model that
    it is given; an attribute's object of a custom class that is changed in place;
    and, in Keras, attributes that are no variables and not in ``get_config``. A
    model that draws from a shared random stream only after the first capture
    disturbs its training, and a function under ``torch.compile`` that a forward
    calls is compiled for the copy as well. Where evaluating takes longer than the
    training between two captures, or no processor is free, training waits for the
    queue, and little time is saved.

    What the model itself draws from the random streams of Python, NumPy or torch
    when it is called is undone, so that training goes on as without the recorder;
    if it draws nothing, no stream is touched, whatever other threads draw. Beside
    threads that draw from the same stream as the model, they draw again what they
    drew during a capture, of which one warning tells.

    Examples
    --------
    >>> import trainviz as tv
    >>> domain = tv.Domain((-3, 3), (-3, 3), points_per_axis=30)
    >>> recorder = tv.Recorder(domain, every=5)
    >>> for epoch in range(21):
    ...     snapshot = recorder.capture(
    ...         lambda X: 1 / (1 + np.exp(-0.2 * epoch * X[:, 0])), epoch=epoch,
    ...         metrics={"loss": 1 / (1 + epoch)})
    >>> recorder.recording.epochs
    array([ 0,  5, 10, 15, 20])
    """

    _unit: ClassVar[str] = "epoch"
    answers: npt.NDArray[Any] | None

    @shows_defaults(RECORDER_DEFAULTS, complete=True)
    def __init__(
        self,
        domain: Domain,
        *,
        output: Output = "probabilities",
        **options: Unpack[RecorderOptions],
    ) -> None:
        given = with_defaults(options, RECORDER_DEFAULTS, "Recorder")
        require_domain(domain)
        if given["on_error"] not in ("warn", "raise"):
            raise ValueError(f"on_error={given['on_error']!r}: expected 'warn' or 'raise'")
        for name in ("background", "durable", "overwrite"):
            check_switch(name, given[name])
        check_output(output)
        chunk_size(domain, given["batch_size"])
        check_method(given["evaluation"], given["tolerance"], "evaluation")
        self.domain = domain
        self.schedule = check_options(options)
        self._output = output
        names, held = check_names(given["class_names"]), recorded_as(output)
        data = None if given["data"] is None else LabelledData.of(given["data"], domain, held)
        classes = check_classes(given["classes"])
        self._description = Description(
            domain, data, names, classes, repr(self.schedule), held, self._unit
        )
        self._given: RecorderOptions = {**given, "data": None}
        self._streams = HostStreams()
        self._probe = Probe(domain)
        self._order_doubted = False
        self._earlier: list[Recording] = []
        self._begin()
        self.location = _location(given["path"])

    def _begin(self) -> None:
        """Start an empty recording, or continue the one at ``path``."""
        given = self._given
        recording, store = start_recording(
            replace(self._description),
            path=given["path"], overwrite=given["overwrite"], resume=given["resume"],
            precision=given["precision"], durable=given["durable"],
        )  # fmt: skip
        self._evaluator = Evaluator(
            self.domain, method=given["evaluation"], tolerance=given["tolerance"],
            output=self._output, batch_size=given["batch_size"], data=recording.data,
        )  # fmt: skip
        self.writer = RecordingWriter(
            recording, store, self._snapshot, background=given["background"],
            on_error=given["on_error"],
        )  # fmt: skip
        self.state = TrainingState.of(recording)
        self._validator = SnapshotValidator.of(recording)
        self._asked = (-1, 0)
        self.answers = None
        # A run that ended before its first capture may have left metrics.
        self._has_log_alone = not len(recording) and len(recording.history) > 0

    @property
    def recording(self) -> Recording:
        """What has been captured so far."""
        return self.writer.recording

    @property
    def recordings(self) -> list[Recording]:
        """The recording of every run, in order; the last one is ``recording``."""
        return [*self._earlier, self.recording]

    @property
    def failures(self) -> list[tuple[int, str]]:
        """Epoch and message of each capture that was skipped."""
        return self.writer.failures

    def capture(
        self,
        predict_proba: PredictProba,
        *,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Snapshot | None:
        """Capture the state of the model, if the schedule asks for this epoch or step.

        Parameters
        ----------
        predict_proba : callable
            ``(N, *input_shape) float64 array -> (N, C)`` array; domains of
            several inputs pass it a dict or tuple of arrays.
        epoch : int
            Completed epochs; 0 is the state before training.
        step : int, optional
            Completed optimisation steps.
        metrics : mapping of str to number, optional
            Stored with the snapshot, or as :meth:`log` does if the schedule skips it;
            anything but single numbers is left out.
        force : bool, default False
            Capture whether the schedule asks for it or not.

        Returns
        -------
        Snapshot or None
            None when the schedule skips it, when ``step`` is given and
            captured already, when the capture failed and was skipped, or when
            it is made in the background.

        Raises
        ------
        ValueError
            If ``epoch`` or ``step`` lies before the last captured one.
        PredictionError, EvaluationError
            If the first capture fails, or any with ``on_error="raise"``.
        TypeError
            If ``background=True`` and ``predict_proba`` has no method
            ``frozen()`` that returns an independent copy of it.
        """
        taken = self.offer(predict_proba, epoch, step, metrics, force=force)
        return taken if isinstance(taken, Snapshot) else None

    def offer(
        self,
        predict_proba: PredictProba,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
        again: bool = False,
        weights_epoch: int | None = None,
        probes: bool = False,
    ) -> Snapshot | bool:
        """Do the same as :meth:`capture`, and return whether a capture is in the background.

        ``again`` captures a step that is captured already, too; ``weights_epoch`` is the
        snapshot's. Neither is captured in the background. ``probes`` sets :attr:`answers`.

        Returns
        -------
        Snapshot or bool
            True for a capture in the background, False for none.
        """
        self._settle()
        self._supersede(epoch, step)
        self._validator.check_order(epoch, step, self.writer.last)
        if not force and not self._due(epoch, step):
            self._log(epoch, step, metrics or {})
            return False
        if step is not None and self.writer.last == (epoch, step) and not again:
            return False
        is_first = not self._validator.model_checked
        try:
            self.writer.open()
            is_special = again or weights_epoch is not None
            if not is_special and self._submit(predict_proba, epoch, step, metrics or {}):
                self.answers = self.probe(predict_proba) if probes else None
                return True
            with self._asking(predict_proba):
                snapshot = self._snapshot(predict_proba, epoch, step, metrics or {})
                # In the same session, which costs more than these few points.
                self.answers = self._probe(predict_proba) if probes else None
            if weights_epoch is not None:
                snapshot = replace(snapshot, weights_epoch=weights_epoch)
            self.writer.keep(snapshot)
        except Exception as error:
            self.writer.handle(error, epoch, is_first=is_first)
            return False
        self._evaluator.tell(stacklevel=3)
        if is_first and self._output == "logits":
            doubt_logits(self.probe(predict_proba))
        if self._streams.draws:
            reason = "it draws from the random streams of Python or numpy when asked"
            self.writer.stop_background(reason)
        return snapshot

    def log(self, *, epoch: int, step: int | None = None, metrics: Mapping[str, Any]) -> None:
        """Keep metrics of a moment without a capture, a few bytes.

        :attr:`Recording.history` has them, and films draw them as curves below the map.
        :meth:`capture` does the same where the schedule skips it, and so do the
        adapters at the end of every epoch.

        Parameters
        ----------
        epoch : int
            Completed epochs; they may come in any order.
        step : int, optional
            Completed optimisation steps.
        metrics : mapping of str to number
            Anything but single numbers is left out. Further ones of the same moment
            are added; those of the last snapshot's moment are added to that snapshot.

        Raises
        ------
        ValueError, TypeError
            If ``epoch`` or ``step`` is no whole number from 0.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), every=5)
        >>> for epoch in range(3):
        ...     recorder.log(epoch=epoch, metrics={"loss": 0.5**epoch})
        >>> recorder.recording.history.metrics["loss"]
        array([1.  , 0.5 , 0.25])
        """
        self._supersede(epoch, step)
        self._validator.check_order(epoch, step, None)
        self._log(epoch, step, metrics)

    def _log(self, epoch: int, step: int | None, metrics: Mapping[str, Any]) -> None:
        known = {name: value for name, value in plain_metrics(metrics).items() if value == value}
        self.writer.log(LogEntry(int(epoch), None if step is None else int(step), known))

    def append(
        self,
        probabilities: npt.ArrayLike,
        *,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
        data_predictions: npt.ArrayLike | None = None,
    ) -> Snapshot:
        """Append a map that was computed elsewhere.

        Parameters
        ----------
        probabilities : array-like, shape (C, H, W)
            Class probabilities on the domain's grid, row 0 at ``ylim[0]``.
        epoch, step, metrics
            As for :meth:`capture`.
        data_predictions : array-like of int, shape (n,), optional
            The predicted class of each point of ``data``.

        Returns
        -------
        Snapshot

        Raises
        ------
        ValueError
            If the shape is not ``(C, *domain.shape)``, the classes changed, the
            values are no probabilities, or the epoch goes backwards.
        """
        self._supersede(epoch, step)
        self._validator.check_order(epoch, step, self.writer.last)
        values = self._validator.map(probabilities)
        guesses = self._validator.predictions(data_predictions)
        told = self._validator.with_accuracies(plain_metrics(metrics or {}), guesses)
        snapshot = Snapshot(values, int(epoch), step, told, 0, guesses)
        self.writer.keep(snapshot)
        return snapshot

    def check(self, predict_proba: PredictProba, epoch: int = 0) -> None:
        """Evaluate a predict callable at the corners, so that mistakes show early.

        Does nothing once a map has been captured or a check has passed.

        Raises
        ------
        PredictionError, EvaluationError
            As the first :meth:`capture`.
        """
        self._settle()
        if self._validator.model_checked:
            return
        self.writer.open()
        if self.writer.in_background:
            check_freezable(predict_proba)
        height, width = self.domain.shape
        corners = [0, width - 1, (height - 1) * width, height * width - 1]
        points = self.domain.points_at(np.array(corners))
        with self._asking(predict_proba):
            self._validator.check_classes(
                probabilities_at(predict_proba, points, self._output).shape[1]
            )

    def begin_another_run(self) -> None:
        """Start an empty recording; ``recordings`` keeps the former one.

        The adapters call it when a fit starts with another model.

        Raises
        ------
        RecordingError
            If the recording is at a ``path``, which holds one run.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=7)
        >>> recorder.begin_another_run()
        >>> _ = recorder.capture(lambda X: X[:, 1], epoch=0)
        >>> [recording.epochs.tolist() for recording in recorder.recordings]
        [[7], [0]]
        """
        if self.location is not None:
            raise RecordingError(
                f"another model is to be recorded than before, and {self.location} holds one run: "
                "make another recorder with another path= for it"
            )
        self.drain()
        former = self.writer
        self._earlier.append(former.recording)
        self._begin()
        self.writer.follow(former)

    def probe(
        self, predict_proba: PredictProba, *, is_sure: bool = True
    ) -> npt.NDArray[Any] | None:
        """Return what a model answers at a few points, to tell whether it is the same later.

        None if it fails, or, unless ``is_sure``, answers differently when it is asked again.
        """
        try:
            with self._asking(predict_proba):
                return self._probe(predict_proba, is_sure=is_sure)
        except Exception:
            return None

    def learn_classes(self, classes: Sequence[Any] | None) -> None:
        """Set the labels of the output columns, unless the user gave them.

        Parameters
        ----------
        classes : sequence, optional
            From the model; some know them only once they are fitted.
        """
        if self._validator.classes is None and classes is not None:
            self._validator.classes = list(classes)
            self.writer.learn_classes(list(classes))

    def drain(self) -> None:
        """Wait for the captures in the background, and report their failures.

        Does nothing if there are none. Raises the first failure with
        ``on_error="raise"``; all of them are in ``failures`` then.

        Examples
        --------
        >>> import trainviz as tv
        >>> class Threshold:
        ...     def __init__(self, at):
        ...         self.at = at
        ...     def __call__(self, X):
        ...         return X[:, 0] > self.at
        ...     def frozen(self):
        ...         return Threshold(self.at)
        >>> model = Threshold(0)
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), background=True)
        >>> for epoch in range(3):
        ...     model.at = epoch / 4
        ...     _ = recorder.capture(model, epoch=epoch)
        >>> recorder.drain()
        >>> recorder.recording.epochs
        array([0, 1, 2])
        """
        self.writer.drain()
        self._evaluator.tell(stacklevel=3)

    def subscribe(
        self,
        callback: Callable[[Snapshot], object],
        *,
        closed: Callable[[], object] | None = None,
    ) -> Callable[[], None]:
        """Call a function with each snapshot after it was stored.

        It is called in order, on the training thread. With ``background=True``
        it is called at the next call of the recorder, or of :meth:`drain`.
        An exception of the callback is handled as ``on_error`` says: it is listed
        in ``failures``, with one warning, and training goes on, or it is raised.
        Later changes by ``amend`` and ``relabel`` cause no call. A copy of the
        recorder for another process has no subscribers.

        Parameters
        ----------
        callback : callable
            ``(snapshot) -> None``. Training waits for it; it must not change the
            snapshot, or draw from the random streams of a framework, or beside other
            threads from those of Python and NumPy.
        closed : callable, optional
            Called without arguments after each :meth:`close`: at the end of a fit or of a
            ``with`` block, whether it has failed or not.

        Returns
        -------
        callable
            Call it without arguments to end the subscription.

        Raises
        ------
        TypeError
            If ``callback`` is not callable.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2))
        >>> unsubscribe = recorder.subscribe(lambda snapshot: print(snapshot.epoch))
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=0)
        0
        >>> unsubscribe()
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=1)
        """
        return self.writer.subscribe(callback, closed)

    def serve(self, *, port: int | None = None, open_browser: bool = False) -> Any:
        """Show the recording in the browser while it grows.

        A process of its own reads the recording from the disk and ends with this
        one; training knows nothing of it. ``trainviz serve PATH`` shows the same page.

        Parameters
        ----------
        port : int, optional
            Default: 8642. If it is in use, the next free one is taken; 0 for any.
        open_browser : bool, default False

        Returns
        -------
        LiveServer
            ``url`` is the page's address, ``open()`` opens it, ``close()`` ends the
            server. In Jupyter it shows itself as a link.

        Raises
        ------
        ValueError
            If the recorder has no ``path=`` on this machine.
        ImportError
            If Starlette or uvicorn is not installed: ``pip install "trainviz[live]"``.
        RuntimeError
            If the server does not start.
        """
        if self.location is None or "://" in self.location:
            raise ValueError(
                f"serve() reads the recording from the disk, and path={self.location!r}: give the "
                "recorder a folder of this machine, e.g. path='runs/a.zarr'"
            )
        return provided("server")(self.location, port=port, open_browser=open_browser)

    def widget(self, **options: Any) -> Any:
        """Return the player as a widget that grows while the model trains.

        It needs anywidget, and is shown by Jupyter, VS Code, Colab and marimo: in
        a cell of its own, or by ``display(recorder.widget())`` before training
        begins. Maps are sent by a thread; training does not wait for it.

        Parameters
        ----------
        **options
            As for :meth:`Recording.widget`.

        Returns
        -------
        anywidget.AnyWidget

        Raises
        ------
        ImportError
            If anywidget is not installed.
        ValueError, TypeError
            If an option is invalid.
        """
        return provided("widget")(self.recording, subscribe=self.subscribe, **options)

    def close(self) -> None:
        """Wait for the captures in the background, and release the lock of ``path``.

        A recorder that captures again afterwards locks ``path`` again. One
        that is never closed holds the lock until it is deleted or its process ends.
        """
        self.drain()
        self._order_doubted = self._order_doubted or doubt_order(self.recording)
        self.writer.close()

    def claim(self) -> None:
        """Lock ``path`` now, so that an error shows before training.

        Raises
        ------
        RecordingError
            If another process records there, or ``path`` holds a recording that
            neither ``overwrite`` nor ``resume`` allows to change.
        """
        self.writer.open()

    def allow_resume(self) -> None:
        """Let ``resume="checkpoint"`` continue what is at ``path``."""
        self.writer.allow_resume()

    def amend(self, metrics: Mapping[str, Any]) -> None:
        """Add metrics to the last snapshot (some frameworks know them only later)."""
        self.writer.amend(plain_metrics(metrics))

    def relabel(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Label the last snapshot as the state at the end of ``epoch``, and add metrics."""
        self.writer.relabel(epoch, plain_metrics(metrics))

    def rewind(self, epoch: int, step: int | None = None) -> None:
        """Remove what is recorded after ``epoch`` and ``step``, from which training continues."""
        self.drain()
        self._has_log_alone = False
        self.state.stage = Stage.RUNNING
        self.writer.keep_until(epoch, step)
        self._follow_last()
        self._asked = (epoch, step or 0)

    def _submit(
        self, predict_proba: PredictProba, epoch: int, step: int | None, metrics: Mapping[str, Any]
    ) -> bool:
        """Queue the capture for the background; return False if it is to be made at once."""
        if not self.writer.in_background:
            return False
        check_freezable(predict_proba)
        if not self._validator.model_checked or not len(self.recording):
            # Made at once, so that a mistake shows before training time is spent.
            return False
        return self.writer.submit(predict_proba, int(epoch), step, plain_metrics(metrics))

    def evaluation_state(self) -> dict[str, Any]:
        """Return what the next map depends on besides the model, for a checkpoint."""
        return self._evaluator.state()

    def restore_evaluation(self, state: Mapping[str, Any]) -> None:
        """Continue the evaluation of a recorder that had this :meth:`evaluation_state`."""
        self._evaluator.restore(state)

    def _follow_last(self) -> None:
        """Evaluate as the last snapshot was, unless this recorder has chosen already."""
        if len(self.recording) and self._evaluator.undecided:
            self._evaluator.follow(self.recording[-1].method)

    def _settle(self) -> None:
        self._evaluator.tell(stacklevel=4)
        self.writer.settle()

    def _supersede(self, epoch: int, step: int | None) -> None:
        """Remove what a continued recording holds from here on, which will be recorded again."""
        if self._has_log_alone:
            self._has_log_alone = False
            self.writer.keep_before(epoch, step)
        if self.state.stage is not Stage.STORED:
            return
        self._validator.check_order(epoch, step, None)
        self.state.stage = Stage.RUNNING
        self.writer.keep_before(epoch, step)
        self._follow_last()
        if self.writer.last is not None:
            last_epoch, last_step = self.writer.last
            self._asked = last_epoch, last_step or 0

    def _due(self, epoch: int, step: int | None) -> bool:
        due = self.schedule.due_epoch(epoch)
        if step is None or not self.schedule.counts_steps:
            return due
        # Called at steps too: a due epoch is captured at the first of its steps alone.
        last_epoch, last_step = self._asked
        self._asked = epoch, step
        return (due and epoch > last_epoch) or self.schedule.due_step(step, since=last_step)

    @contextmanager
    def _asking(self, predict_proba: PredictProba) -> Iterator[None]:
        """Open a session of a model, and undo what it draws from Python's and numpy's streams."""

        def ask_a_corner() -> None:
            with session(predict_proba):
                probabilities_at(predict_proba, self.domain.points(0, 1), self._output)

        with self._streams.preserved(again=ask_a_corner), session(predict_proba):
            yield

    def _snapshot(
        self,
        predict_proba: PredictProba,
        epoch: int,
        step: int | None,
        metrics: Mapping[str, Any],
    ) -> Snapshot:
        """Evaluate a model of which a session is open."""
        found = self._evaluator(predict_proba, (epoch, step))
        self._validator.check_classes(found.map.shape[0])
        told = self._validator.with_accuracies(plain_metrics(metrics), found.data_predictions)
        return Snapshot(
            found.map, int(epoch), step, told, found.evaluations,
            found.data_predictions, found.error, found.method,
        )  # fmt: skip


def check_options(options: RecorderOptions) -> Schedule:
    """Return the schedule that options ask for; raise for what is wrong without a domain, too.

    Examples
    --------
    >>> check_options({"every": 5}).every
    5
    """
    given = with_defaults(options, RECORDER_DEFAULTS, "Recorder")
    return make_schedule(
        given["schedule"], given["every"], given["every_n_steps"], given["at"],
        given["initial"], given["final"],
    )  # fmt: skip


def _location(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    text = os.fspath(path)
    return text if "://" in text else os.path.abspath(text)
