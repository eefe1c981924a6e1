"""Recordings made from the checkpoints of a finished training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from trainviz._common.checks import check_switch
from trainviz._common.progress import progress_bar
from trainviz._common.providers import provided
from trainviz._common.terminal import warn
from trainviz.capture.replay.checkpoints import (
    Checkpoint,
    CheckpointInfo,
    Checkpoints,
    Skipped,
    find_checkpoints,
    in_order,
)
from trainviz.capture.replay.work import Loader, Outcome, Work, one_after_another
from trainviz.capture.validation import SnapshotValidator, check_classes, check_names
from trainviz.domain.domain import Domain, require_domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import CheckpointError, ReplayWarning
from trainviz.evaluation.evaluator import Method, check_method
from trainviz.evaluation.outputs import (
    Output,
    PredictProba,
    check_output,
    chunk_size,
    recorded_as,
)
from trainviz.recordings.opening import start_recording
from trainviz.recordings.recording import Recording
from trainviz.recordings.stores import WritableStore
from trainviz.recordings.zarr_store.description import Description
from trainviz.recordings.zarr_store.store import Precision

__all__ = ["replay"]

_KERAS = (".keras", ".h5")
_TORCH = (".ckpt", ".pt", ".pth", ".safetensors")


def replay(
    checkpoints: Checkpoints,
    *,
    domain: Domain,
    model: Any = None,
    load: Callable[[str], Any] | None = None,
    predict: Callable[[Any, Any], Any] | None = None,
    output: Output | None = None,
    data: tuple[Any, Any] | Mapping[str, tuple[Any, Any]] | None = None,
    class_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    evaluation: Method = "auto",
    tolerance: float = 1 / 255,
    batch_size: int | Literal["auto"] = "auto",
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    precision: Precision = "float16",
    on_error: Literal["raise", "skip"] = "raise",
    allow_pickle: bool = False,
    scheduler: Any = None,
    progress: bool | None = None,
) -> Recording:
    """Make a recording from the checkpoints that a training has left.

    Parameters
    ----------
    checkpoints : path, glob, sequence of paths, or mapping of int to path
        Lightning ``.ckpt``; torch ``.pt`` and ``.pth`` (a ``state_dict``, alone or under
        ``"state_dict"``, ``"model_state_dict"`` or ``"model"``); ``.safetensors``; Keras
        ``.keras`` and ``.weights.h5``. A folder stands for all such files in it. They are
        recorded in the order of their epochs, whatever order they are given in.
    domain : Domain
        Where the model is evaluated, at any resolution.
    model : nn.Module, keras.Model, class or callable
        The model of the weights (its own are restored afterwards), a callable without arguments
        that makes one, or a LightningModule class whose arguments are in its checkpoints. Not
        needed for ``.keras`` files, which contain it.
    load : callable, optional
        ``path -> model or predict callable``, for files of any other kind, instead of ``model``.
        It may return an ``nn.Module``, a ``keras.Model``, a scikit-learn classifier, or a
        callable from points, shape (N, D), to outputs, shape (N, C).
    predict : callable, optional
        ``(model, points) -> output`` for models that are not called with the points alone.
    output : str, optional
        What the model returns; default ``"logits"`` for torch, ``"probabilities"`` for all else.
    data, class_names, classes, evaluation, tolerance, batch_size, path, overwrite, precision
        As for :class:`~trainviz.Recorder`.
    resume : bool, default False
        Continue an interrupted replay to ``path``: recorded epochs are left out.
    on_error : {"raise", "skip"}, default "raise"
        Whether to raise for a checkpoint that is missing, damaged, of another model or out of
        order, or to skip it. What was recorded before it stays at ``path``.
    allow_pickle : bool, default False
        Load files that hold more than weights, which can run code as they are loaded. For
        files that you trust only.
    scheduler : distributed.Client or str, optional
        A Dask cluster (or the address of its scheduler) whose workers evaluate the
        checkpoints, which they must reach under the same names.
    progress : bool, optional
        Show a progress bar; default: if standard error is a terminal.

    Returns
    -------
    Recording

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be replayed (with ``on_error="skip"``: if none can).
    ValueError, TypeError
        If an argument is not as described; the message says which.
    RecordingError
        If ``path`` is not free, or does not fit what is to be recorded.

    Warns
    -----
    ReplayWarning
        Once, at the end, if checkpoints were skipped; ``skipped`` lists them.

    Notes
    -----
    The epoch of a checkpoint is that of the mapping, else that in the file, else that in its name:
    the number after "epoch", or its last whole number. Lightning's checkpoints count completed
    epochs, as recorders do; an ``"epoch"`` in a file of your own is used unchanged.

    Each map depends on its own checkpoint alone, so that serial, interrupted and distributed
    replays are equal, bit for bit. With ``evaluation="dense"`` they also equal what a recorder
    records in training; the adaptive evaluation of a recorder builds on the snapshot
    before, and differs within its tolerance.

    Dask starts its workers with a setting of the C library that lets large networks allocate
    slowly (``MALLOC_TRIM_THRESHOLD_``); where it matters, give a ``LocalCluster`` another one:
    ``dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**30})``,
    and the same for ``MALLOC_TRIM_THRESHOLD_``.

    Examples
    --------
    >>> import tempfile, torch, trainviz as tv
    >>> folder, network = tempfile.mkdtemp(), torch.nn.Linear(2, 3)
    >>> for epoch in range(3):
    ...     torch.save(network.state_dict(), f"{folder}/epoch-{epoch}.pt")
    >>> domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=50)
    >>> tv.replay(folder, model=network, domain=domain)
    Recording(3 snapshots, epochs 0 to 2, 3 classes, grid 50x50)
    """
    _check(domain, model, load, predict, output, on_error)
    check_switch("allow_pickle", allow_pickle)
    check_method(evaluation, tolerance, "evaluation")
    chunk_size(domain, batch_size)
    found, missing = find_checkpoints(checkpoints, any_suffix=load is not None)
    held = recorded_as(output or "probabilities")
    labelled = LabelledData.of(data, domain, held) if data is not None else None
    loader, found, unknown = _loader(found, domain, model, load, predict, output, allow_pickle)
    names, labels = check_names(class_names), check_classes(classes)
    recording, store = start_recording(
        Description(domain, labelled, names, labels, "the checkpoints given", held),
        path=path, overwrite=overwrite, resume=resume, precision=precision,
    )  # fmt: skip
    recorded = [(store.epoch(index), store.step(index)) for index in range(len(store))]
    ordered, unusable = in_order(found, loader.describe, recorded)
    policy = _Policy(on_error)
    policy.refuse([*missing, *unknown, *unusable])
    work = Work(loader, domain, recording.data, evaluation, tolerance, batch_size)
    try:
        with _outcomes(work, ordered, scheduler) as outcomes:
            _record(_watched(outcomes, len(ordered), progress), recording, store, policy)
    finally:
        store.close()
    policy.finish(len(recording))
    return recording


class _Policy:
    """Applies ``on_error``: raises for a checkpoint, or lists it and warns at the end."""

    def __init__(self, on_error: str) -> None:
        self._skips = on_error == "skip"
        self.skipped: Skipped = []

    def refuse(self, unusable: Skipped) -> None:
        self.skipped += unusable
        if unusable and not self._skips:
            shown = [why if one in why else f"{one}: {why}" for one, why in unusable[:5]]
            more = f"; and {len(unusable) - 5} more" if len(unusable) > 5 else ""
            raise CheckpointError("; ".join(shown) + more)

    def fail(self, checkpoint: Checkpoint, error: Exception) -> None:
        self.skipped.append((checkpoint.path, str(error)))
        if not self._skips:
            raise error

    def finish(self, recorded: int) -> None:
        if not self.skipped:
            return
        if not recorded:
            path, why = self.skipped[0]
            raise CheckpointError(
                f"none of {len(self.skipped)} checkpoints could be replayed; the first: "
                f"{why if path in why else f'{path}: {why}'}"
            )
        warn(ReplayWarning(self.skipped), stacklevel=3)


def _record(
    outcomes: Iterator[Outcome],
    recording: Recording,
    store: WritableStore,
    policy: _Policy,
) -> None:
    validator = SnapshotValidator.of(recording)
    for checkpoint, outcome in outcomes:
        if isinstance(outcome, Exception):
            policy.fail(checkpoint, outcome)
            continue
        try:
            validator.check_classes(outcome.shape[0])
        except ValueError as error:
            policy.fail(checkpoint, CheckpointError(f"{checkpoint} cannot be replayed: {error}"))
            continue
        told = validator.with_accuracies(outcome.metrics, outcome.data_predictions)
        store.append(replace(outcome, metrics=told))


@contextmanager
def _outcomes(
    work: Work, ordered: Sequence[Checkpoint], scheduler: Any
) -> Iterator[Iterator[Outcome]]:
    if scheduler is None:
        made = one_after_another(work, ordered)
        try:
            yield made
        finally:
            made.close()  # type: ignore[attr-defined]
        return
    from trainviz.capture.replay.dask import client_of, on_workers

    with client_of(scheduler) as client:
        made = on_workers(client, work, ordered)
        try:
            yield made
        finally:
            made.close()  # type: ignore[attr-defined]


def _watched(outcomes: Iterator[Outcome], total: int, progress: bool | None) -> Iterator[Outcome]:
    with progress_bar("replay", "map", total, shown=progress) as advance:
        for outcome in outcomes:
            yield outcome
            advance()


class _Loaded:
    """A loader that calls the user's ``load=``."""

    def __init__(
        self,
        load: Callable[[str], Any],
        predict: Callable[[Any, Any], Any] | None,
        output: Output | None,
    ) -> None:
        self._load = load
        self._predict = predict
        self._output = output

    def describe(self, path: str) -> CheckpointInfo:
        return CheckpointInfo()

    def open(self, path: str) -> tuple[PredictProba, Output]:
        try:
            model = self._load(path)
        except Exception as error:
            raise CheckpointError(
                f"load= failed on {path}: {type(error).__name__}: {error}"
            ) from error
        # If the model is an object of a framework, that framework has been imported already.
        if _is_of("keras", "Model", model):
            predictor = provided("predictor.keras")(model, self._predict)
            return predictor, self._output or "probabilities"
        if _is_of("torch", "nn.Module", model):
            output: Output = self._output or "logits"
            return provided("predictor.torch")(model, predict=self._predict, output=output), output
        return self._plain(model, path), self._output or "probabilities"

    def _plain(self, model: Any, path: str) -> PredictProba:
        if self._predict is not None:
            predict = self._predict
            return lambda points: predict(model, points)
        if _is_of("sklearn", "base.BaseEstimator", model):
            predictor: PredictProba = provided("predictor.sklearn")(
                model, output=self._output or "probabilities"
            )
            return predictor
        if not callable(model):
            raise TypeError(
                f"load= returned {type(model).__name__} for {path}: expected a model, or a "
                "callable from points to answers (or give predict=)"
            )
        answer: PredictProba = model
        return answer

    def restore(self) -> None:
        pass


def _is_of(package: str, name: str, value: Any) -> bool:
    found: Any = sys.modules.get(package)
    for part in name.split("."):
        found = getattr(found, part, None)
    return isinstance(found, type) and isinstance(value, found)


def _loader(
    found: list[tuple[int | None, str]],
    domain: Domain,
    model: Any,
    load: Callable[[str], Any] | None,
    predict: Callable[[Any, Any], Any] | None,
    output: Output | None,
    allow_pickle: bool,
) -> tuple[Loader, list[tuple[int | None, str]], Skipped]:
    """Return the loader, the files that it reads, and the others with the reason."""
    if load is not None:
        return _Loaded(load, predict, output), found, []
    kinds = {path: _kind(path) for _, path in found}
    both = sorted(set(kinds.values()) - {""})
    unknown = [
        (path, f"its kind is not known from its name: {', '.join(_TORCH + _KERAS)}, or load=")
        for path, kind in kinds.items() if not kind
    ]  # fmt: skip
    if len(both) == 2:
        raise CheckpointError(
            "checkpoints= names files of Keras and of torch "
            f"({', '.join(next(p for p in kinds if kinds[p] == kind) for kind in both)}): replay "
            "them one after the other"
        )
    if not both:
        return _Loaded(lambda path: None, predict, output), [], unknown
    known = [(epoch, path) for epoch, path in found if kinds[path]]
    options = {"predict": predict, "output": output, "allow_pickle": allow_pickle}
    if both == ["keras"]:
        loader = provided("checkpoints.keras")(model, sample=domain.points(0, 1), **options)
        return loader, known, unknown
    if model is None and not allow_pickle:
        raise TypeError(
            "model= is missing: give the torch.nn.Module that the weights belong to, or a callable "
            "that makes it"
        )
    return provided("checkpoints.torch")(model, **options), known, unknown


def _kind(path: str) -> str:
    name = path.lower()
    return "keras" if name.endswith(_KERAS) else "torch" if name.endswith(_TORCH) else ""


def _check(domain: Any, model: Any, load: Any, predict: Any, output: Any, on_error: Any) -> None:
    require_domain(domain)
    if model is not None and load is not None:
        raise TypeError("model= and load= are two ways to say what is evaluated: give one of them")
    for name, value in (("load", load), ("predict", predict), ("model", model)):
        if value is not None and not callable(value):
            raise TypeError(f"{name}={value!r}: expected a callable")
    if output is not None:
        check_output(output)
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={on_error!r}: expected 'raise' or 'skip'")
