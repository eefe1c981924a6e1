"""Log a recording to experiment trackers, at once or while it grows."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from weakref import WeakKeyDictionary

from typing_extensions import Self, Unpack

from trainviz._common.checks import check_switch, check_text
from trainviz._common.terminal import warn
from trainviz.capture.recorder import Recorder
from trainviz.capture.training_state import Stage
from trainviz.errors import CaptureWarning
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot
from trainviz.recordings.time_axis import Moment, counted_by
from trainviz.rendering.animation import animate
from trainviz.rendering.captions import Counter
from trainviz.rendering.options import FilmOptions, check_film
from trainviz.trackers.delivery import Delivery
from trainviz.trackers.measures import Curves
from trainviz.trackers.targets import LOGGERS, trackers_of
from trainviz.trackers.tracker import FilmFormat, Tracker

__all__ = ["TrackerLog", "log_fit", "log_to"]

Stills = Literal["geometric"] | int | None
Film = Literal["auto", "gif", "mp4"] | None
StepOf = Callable[[Snapshot], int]

_FRAMES = 100
"""A film in a tracker has at most so many frames, so that its file is a megabyte or two."""

_FPS = 10.0

_logs: WeakKeyDictionary[Recorder, list[TrackerLog]] = WeakKeyDictionary()
"""The logs that follow a recorder."""


def log_to(
    target: Any,
    recording: Any,
    *,
    stills: Stills = "geometric",
    film: Film = "auto",
    page: bool = True,
    scalars: bool = True,
    by: Literal["epoch", "step"] | None = None,
    name: str = "trainviz",
    **scene: Unpack[FilmOptions],
) -> TrackerLog:
    """Show a recording in an experiment tracker: stills, the film, a page and curves.

    A recording is logged at once. A recorder is followed: stills and curves are
    logged while the model trains, film and page when training ends or fails. The
    tracker is written to on a thread of its own. If it fails, hangs or is too slow,
    one warning says so, and training goes on.

    Parameters
    ----------
    target : object
        A folder for TensorBoard, or its ``SummaryWriter`` (of torch or tensorboardX);
        the run that ``wandb.init()`` returns, or ``wandb``, the active one; the run
        that ``mlflow.start_run()`` returns, ``(client, run_id)``, or ``mlflow``; a
        logger of Lightning for one of these; or a ``Trainer``, for all of its loggers.
        ``"wandb"`` and ``"mlflow"`` stand for the active runs, too.
    recording : Recording, Recorder or a recorder of a framework
    stills : "geometric", int or None, default "geometric"
        Of which snapshots: the first and those after 1, 2, 4, 8, ... more, the k-th
        ones, or none. TensorBoard keeps ten pictures, so that these are enough for 256
        snapshots. Each takes some 0.4 s on the thread that trains.
    film : {"auto", "gif", "mp4"} or None, default "auto"
        The film's format; None for no film. ``"auto"`` is an MP4 for Weights & Biases
        and a GIF for the others; TensorBoard plays nothing else.
    page : bool, default True
        Whether to log the interactive page (see :meth:`Recording.save_page`);
        TensorBoard shows none, and gets the file beside its own.
    scalars : bool, default True
        Whether to log the curves ``area of ...``, ``boundary length``, ``churn`` and
        ``first learnt`` of :func:`trainviz.dynamics`.
    by : {"epoch", "step"}, optional
        What the tracker counts as steps; default: steps if the recorder captures by
        steps, else epochs. A ``LightningRecorder`` has the steps of Lightning's curves.
    name : str, default "trainviz"
        The first part of all tags, ``NAME/still``.
    **scene
        The keyword arguments of :func:`trainviz.animate`, such as ``mode`` and ``title``.

    Returns
    -------
    TrackerLog
        Its ``close()`` logs the film of a recorder that is never closed itself, and so
        does the end of a ``with`` block, within which further fits log no film of
        their own. ``failures`` tells what could not be logged.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    RecordingError
        If a recording is empty.
    ImportError
        If the tracker is not installed; the message says how to install it.

    Examples
    --------
    >>> import tempfile, numpy as np, trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=20))
    >>> folder = tempfile.TemporaryDirectory()
    >>> with tv.log_to(folder.name, recorder, page=False) as log:
    ...     for epoch in range(4):
    ...         _ = recorder.capture(lambda X: 1 / (1 + np.exp(-epoch * X[:, 0])), epoch=epoch)
    >>> log
    TrackerLog(TensorBoard, 4 stills, 1 film)
    >>> folder.cleanup()
    """
    recorder = getattr(recording, "recorder", recording)
    if not isinstance(recorder, (Recorder, Recording)):
        raise TypeError(
            f"recording={recording!r}: expected a Recording, or a recorder, such as "
            "trainviz.TorchRecorder"
        )
    check_switch("page", page)
    check_switch("scalars", scalars)
    check_text("name", name)
    _check(stills, film, by, scene)
    trackers = trackers_of(target)
    if film not in (None, "auto"):
        for tracker in trackers:
            if film not in tracker.film_formats:
                raise ValueError(
                    f"film={film!r}: {tracker.name} shows {' and '.join(tracker.film_formats)} "
                    "alone; film='auto' chooses what a tracker can show"
                )
    if isinstance(recorder, Recorder):
        for known in _logs.get(recorder, ()):
            if known.logs_to(trackers):
                warn(
                    f"{known!r} logs this recorder there already; the second call is ignored",
                    CaptureWarning,
                    stacklevel=2,
                )
                return known
    step_of = getattr(recording, "curve_step", None)
    if step_of is None:
        step_of = partial(_step, by=by or _counted(recorder))
    log = TrackerLog(trackers, stills, film, page, scalars, step_of, name, scene)
    if isinstance(recorder, Recording):
        log.log_all(recorder)
    elif recorder.state.stage is Stage.FINISHED:
        log.log_all(recorder.recording)
    else:
        log.follow(recorder)
    return log


def log_fit(trainer: Any, recorder: Any, name: str) -> TrackerLog:
    """Log a fit of Lightning to all loggers that the trainer has, from now on.

    Parameters
    ----------
    trainer : lightning.pytorch.Trainer
    recorder : LightningRecorder
    name : str

    Returns
    -------
    TrackerLog
        Whoever calls this closes it when the fit has ended.
    """
    trackers: list[Tracker] = []
    trouble = f"the trainer has no logger for {LOGGERS}"
    try:
        trackers = trackers_of(trainer)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    if not trackers:
        warn(f"log=True has no effect: {trouble}", CaptureWarning, stacklevel=4)
    log = TrackerLog(trackers, "geometric", "auto", True, True, recorder.curve_step, name, {})
    log.follow(recorder.recorder, len(recorder.recording))
    return log


class TrackerLog:
    """What is logged of a recording, made by :func:`log_to`.

    Attributes
    ----------
    failures : dict of str to str
        What went wrong first, for each tracker that has failed.
    """

    def __init__(
        self,
        trackers: list[Tracker],
        stills: Stills,
        film: Film,
        page: bool,
        scalars: bool,
        step_of: StepOf,
        name: str,
        scene: FilmOptions,
    ) -> None:
        self._trackers = [(tracker, Delivery(tracker.name)) for tracker in trackers]
        self._stills, self._film, self._page, self._scalars = stills, film, page, scalars
        self._step_of, self._scene = step_of, scene
        self._name = _free_name(name, trackers)
        self._recorder: Recorder | None = None
        self._recording: Recording | None = None
        self._curves: Curves | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._in_block = False
        self._seen = self._n_stills = self._n_films = 0
        # So many snapshots were there when the last film was made.
        self._in_film = 0
        self._trouble: str | None = None
        self._warned: set[str] = set()

    @property
    def failures(self) -> dict[str, str]:
        """What went wrong first, by tracker."""
        found = {d.name: d.failure for _, d in self._trackers if d.failure is not None}
        return found if self._trouble is None else {**found, "trainviz": self._trouble}

    def logs_to(self, trackers: list[Tracker]) -> bool:
        """Return whether one of these is logged to already."""
        places = {tracker.place for tracker, _ in self._trackers}
        return any(tracker.place in places for tracker in trackers)

    def log_all(self, recording: Recording) -> None:
        """Log a recording that grows no longer."""
        recording.require_snapshots()
        self._begin(recording)
        for index in range(len(recording)):
            self._log(recording[index], index, wait=True)
        self._end()

    def follow(self, recorder: Recorder, after: int = 0) -> None:
        """Log what is captured, from the ``after``-th snapshot on; the film when it is closed."""
        self._recorder = recorder
        self._begin(recorder.recording, after)
        for index in range(after, len(recorder.recording)):
            self._log(recorder.recording[index], index)
        self._unsubscribe = recorder.subscribe(self._told, closed=self._closed)
        _logs.setdefault(recorder, []).append(self)

    def close(self) -> None:
        """Log film and page, wait until all is logged, and follow the recorder no longer.

        A tracker that does not answer for ten seconds is not waited for.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        recorder.drain()
        self._unsubscribe()
        _logs[recorder].remove(self)
        self._end()

    def __enter__(self) -> Self:
        self._in_block = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        names = " and ".join(tracker.name for tracker, _ in self._trackers) or "no tracker"
        counts = ((self._n_stills, "still"), (self._n_films, "film"))
        told = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
        return f"TrackerLog({names}, {told})"

    # What the recorder tells, on the thread that trains.

    def _told(self, snapshot: Snapshot) -> None:
        assert self._recorder is not None
        recording = self._recorder.recording
        if recording is not self._recording:
            # Another model is recorded.
            self._begin(recording)
        elif len(recording) <= self._seen:
            # Training continues from a checkpoint before the end of the recording.
            self._begin(recording, len(recording) - 1)
        self._log(snapshot, self._seen)

    def _closed(self) -> None:
        if not self._in_block:
            self._end()

    def _begin(self, recording: Recording, after: int = 0) -> None:
        self._recording, self._seen, self._in_film = recording, after, after
        with _Trouble(self):
            self._curves = Curves(recording, after)

    def _log(self, snapshot: Snapshot, index: int, wait: bool = False) -> None:
        self._seen = index + 1
        with _Trouble(self):
            step = self._step_of(snapshot)
            if self._scalars:
                self._log_scalars(snapshot, step, wait)
            if _is_due(self._stills, index):
                self._log_still(snapshot, index, step, wait)
        self._warn()

    def _log_scalars(self, snapshot: Snapshot, step: int, wait: bool) -> None:
        assert self._curves is not None
        found = self._curves.of(snapshot)
        values = {f"{self._name}/{name}": value for name, value in found.items()}
        if values:
            self._send(lambda tracker: tracker.scalars(values, step), wait)

    def _log_still(self, snapshot: Snapshot, index: int, step: int, wait: bool) -> None:
        assert self._recording is not None
        if not self._is_wanted():
            return
        picture, recording = BytesIO(), self._recording
        # Drawn here and not on the other thread: settings of matplotlib, which drawing changes
        # for a moment, are those of the whole process.
        # Trackers draw the metrics themselves.
        options: FilmOptions = {"metrics": False, **self._scene}
        drawn = animate(recording[: index + 1], **options)
        drawn.still(picture, format="png")
        png = picture.getvalue()
        caption = Counter(recording, self._scene.get("counter", True)).text(Moment(index, 0.0))
        tag = f"{self._name}/still"
        self._send(lambda tracker: tracker.still(tag, png, step, caption), wait)
        self._n_stills += 1

    def _end(self) -> None:
        """Log film and page of what was captured since the last ones, and wait for the trackers."""
        recording = self._recording
        with tempfile.TemporaryDirectory(prefix="trainviz-") as folder:
            if recording is not None and len(recording) > self._in_film and self._is_wanted():
                self._in_film = len(recording)
                with _Trouble(self):
                    if self._last_is_missing():
                        last = len(recording) - 1
                        snapshot = recording[last]
                        self._log_still(snapshot, last, self._step_of(snapshot), wait=True)
                with _Trouble(self):
                    self._log_film(recording, Path(folder))
            self._send(lambda tracker: tracker.close(), wait=True)
            for _, delivery in self._trackers:
                delivery.wait()
        self._warn()

    def _last_is_missing(self) -> bool:
        return self._stills is not None and not _is_due(self._stills, self._seen - 1)

    def _log_film(self, recording: Recording, folder: Path) -> None:
        step = self._step_of(recording[len(recording) - 1])
        thinned = recording.thin(max(1, -(-len(recording) // _FRAMES)))
        options: FilmOptions = {"fps": _FPS, "hold": 1.0, **self._scene}
        film = animate(thinned, **options)
        stem = re.sub(r"[^\w-]+", "-", self._name)
        made: set[Path] = set()
        for tracker, delivery in self._trackers:
            if self._film is None:
                break
            suffix: FilmFormat = tracker.film_formats[0] if self._film == "auto" else self._film
            path = folder / f"{stem}.{suffix}"
            if path not in made:
                film.save(path, progress=False)
                made.add(path)
            tag = f"{self._name}/film"
            delivery.send(partial(tracker.film, tag, path, step), wait=True)
        if made:
            self._n_films += 1
        if self._page:
            whole = animate(recording, **options).save(folder / f"{stem}.html", progress=False)
            self._send(lambda tracker: tracker.page(f"{self._name}/page", whole, step), wait=True)

    def _send(self, call: Callable[[Tracker], None], wait: bool) -> None:
        for tracker, delivery in self._trackers:
            delivery.send(partial(call, tracker), wait=wait)

    def _is_wanted(self) -> bool:
        """Return whether any tracker still takes something."""
        return not all(delivery.is_lost for _, delivery in self._trackers)

    def _warn(self) -> None:
        """Warn of a tracker that has failed since, once each."""
        for name, reason in self.failures.items():
            if name not in self._warned:
                self._warned.add(name)
                what = "a picture could not be made" if name == "trainviz" else f"{name} failed"
                warn(
                    f"log_to(): {what}, and what it does not take is not logged; training and the "
                    f"recording go on: {reason}",
                    CaptureWarning,
                    stacklevel=2,
                )


class _Trouble:
    """Notes the error of a block, which must not end the training."""

    def __init__(self, log: TrackerLog) -> None:
        self._log = log

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if self._log._trouble is None:
            self._log._trouble = f"{type(error).__name__}: {error}"
        return True


def _free_name(name: str, trackers: list[Tracker]) -> str:
    """Return a name under which no other recorder is logged to the same run."""
    taken = {log._name for logs in _logs.values() for log in logs if log.logs_to(trackers)}
    others = (f"{name} {number}" for number in count(2))
    return name if name not in taken else next(each for each in others if each not in taken)


def _is_due(stills: Stills, index: int) -> bool:
    """Return whether there is a still of this snapshot, counted from 0.

    Examples
    --------
    >>> [index for index in range(20) if _is_due("geometric", index)]
    [0, 1, 2, 4, 8, 16]
    """
    if stills is None:
        return False
    if stills == "geometric":
        return index & (index - 1) == 0
    return index % stills == 0


def _counted(recorder: Recorder | Recording) -> str:
    if isinstance(recorder, Recording):
        return counted_by(recorder)
    return "step" if recorder.schedule.counts_steps else "epoch"


def _step(snapshot: Snapshot, by: str) -> int:
    return snapshot.step if by == "step" and snapshot.step is not None else snapshot.epoch


def _check(stills: Any, film: Any, by: Any, scene: FilmOptions) -> None:
    counts = hasattr(stills, "__index__") and not isinstance(stills, bool)
    if not (stills is None or stills == "geometric" or (counts and stills > 0)):
        raise ValueError(
            f"stills={stills!r}: expected 'geometric', a whole number k for every k-th snapshot, "
            "or None"
        )
    if film not in (None, "auto", "gif", "mp4"):
        raise ValueError(f"film={film!r}: expected 'auto', 'gif', 'mp4' or None")
    if by not in (None, "epoch", "step"):
        raise ValueError(f"by={by!r}: expected 'epoch' or 'step'")
    check_film(scene)
