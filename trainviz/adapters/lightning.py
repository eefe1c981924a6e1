"""Lightning: a callback that records ``Trainer.fit``, for both of Lightning's packages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Literal, cast

import numpy.typing as npt
from torch.optim.swa_utils import AveragedModel
from typing_extensions import Unpack

from trainviz._common.providers import install_hint, provided
from trainviz._common.terminal import say
from trainviz.adapters.choices import choose_for
from trainviz.adapters.torch.distributed import (
    Distributed,
    DistributedEvents,
    check_distributed,
    in_a_group,
    is_first,
    own_options,
)
from trainviz.adapters.torch.predictor import FrozenTorchPredictor, TorchPredictor
from trainviz.adapters.torch.replicas import Replicas
from trainviz.adapters.torch.samples import training_samples
from trainviz.adapters.torch.sharding import sharing
from trainviz.capture.recorder import Recorder, RecorderOptions, check_options
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import Inputs
from trainviz.errors import RecordingError
from trainviz.evaluation.outputs import Output
from trainviz.recordings.opening import open_recording
from trainviz.recordings.recording import Recording
from trainviz.recordings.snapshot import Snapshot

__all__ = ["LightningRecorder"]

_DEFAULTS = {
    "predict": None, "output": "logits", "weights": "raw", "distributed": "rank_zero", "log": False,
}  # fmt: skip

_NAMESPACES = ("lightning.pytorch", "pytorch_lightning")


def _callback_bases() -> tuple[type[Any], ...]:
    """Return ``Callback`` of each package that is imported; importing the other takes seconds."""
    wanted = [name for name in _NAMESPACES if name in sys.modules]
    for name in wanted or _NAMESPACES:
        try:
            import_module(name)
        except ImportError:
            continue
        wanted = wanted or [name]
    if not wanted:
        raise ImportError(install_hint("Lightning", "LightningRecorder"))
    return tuple(sys.modules[name].Callback for name in wanted)


class LightningRecorder(*_callback_bases()):  # type: ignore[misc]
    """Record a LightningModule while a ``Trainer`` fits it.

    Parameters
    ----------
    domain : Domain, optional
        Default: chosen, as by :func:`watch`, for ``data=(X, y)`` or, without them, for samples of
        the trainer's training data when a fit starts, which are then drawn, too. What
        was chosen is printed as code.
    predict : callable, optional
        ``(module, points) -> output``; default is the module's own ``forward``.
    output : str, default "logits"
        What the module returns; see :func:`trainviz.evaluate`.
    weights : {"raw", "averaged"}, default "raw"
        Whether to evaluate the weights that are trained, or those of the
        trainer's ``WeightAveraging`` (``EMAWeightAveraging``) or
        ``StochasticWeightAveraging`` callback.
    distributed : {"rank_zero", "shard"}, default "rank_zero"
        With several processes: ``"rank_zero"`` evaluates rank zero's replica
        while the others wait at their next step; ``"shard"`` distributes the
        points over the ranks, which is faster if the model is expensive. Models
        with sharded weights (FSDP) need ``"shard"``; they are evaluated through
        the strategy's wrapper. Either way the recording is on rank zero.
    log : bool or str, default False
        Log stills, curves, film and page to the loggers of the trainer, for TensorBoard,
        Weights & Biases and MLflow, at the steps of Lightning's own curves; the film
        when the fit ends or fails. A string is the first part of the tags; see
        :func:`trainviz.log_to`.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``,
        ``every_n_steps``, ``at``, ``schedule``, ``data``, ``class_names``, ...

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Raises
    ------
    ValueError
        If ``weights`` or ``distributed`` is unknown; or, when a fit starts, if
        there is no callback for ``weights="averaged"``, or ``distributed`` is
        incompatible with the trainer's strategy.

    Notes
    -----
    Without a domain, at most 1000 samples are taken of a copy of the training data set;
    what it draws from random streams is undone, so that training is the same. A run
    that continues the recording at ``path`` has its window and its data.

    The module is evaluated in the trainer's precision, never during the sanity
    check or a fast_dev_run. Snapshots count *completed* epochs.
    Where another callback replaces the weights once training is over, such as by
    their averages, they are captured in one more snapshot of the last epoch.

    A checkpoint stores the recording's path and position, no maps.
    ``fit(ckpt_path=...)`` continues the recording, also in a new process if the
    recorder is created with the same arguments; snapshots after the checkpoint
    are superseded. ``resume=True`` is needed only if the checkpoint does not
    refer to the recording at ``path`` (because it was moved, or the recorder
    had other arguments). Any other fit with a ``path`` that exists raises an
    error before it starts. ``validate`` and ``test`` with a checkpoint do not
    change the recording. If a fit continues within an epoch, the metrics at the
    remaining steps of that epoch are those that Lightning has logged since.

    Examples
    --------
    >>> import torch, trainviz as tv, lightning.pytorch as pl
    >>> class Classifier(pl.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.net = torch.nn.Linear(2, 3)
    ...     def forward(self, x):
    ...         return self.net(x)
    ...     def training_step(self, batch, batch_idx):
    ...         return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
    ...     def configure_optimizers(self):
    ...         return torch.optim.SGD(self.parameters(), lr=0.1)
    >>> X, y = torch.randn(32, 2), torch.randint(0, 3, (32,))
    >>> loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=16)
    >>> rec = tv.LightningRecorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5), every=2)
    >>> trainer = pl.Trainer(
    ...     max_epochs=3, callbacks=[rec], accelerator="cpu", logger=False,
    ...     enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    >>> trainer.fit(Classifier(), loader)
    >>> rec.recording.epochs
    array([0, 2, 3])
    """

    def __init__(
        self,
        domain: Domain | None = None,
        *,
        predict: Callable[[Any, Any], Any] | None = None,
        output: Output = "logits",
        weights: Literal["raw", "averaged"] = "raw",
        distributed: Distributed = "rank_zero",
        log: bool | str = False,
        **options: Unpack[RecorderOptions],
    ) -> None:
        super().__init__()
        if weights not in ("raw", "averaged"):
            raise ValueError(f"weights={weights!r}: expected 'raw' or 'averaged'")
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (module, points) -> output")
        if not isinstance(log, (bool, str)):
            raise TypeError(f"log={log!r}: expected True, False, or the first part of the tags")
        self._predict = predict
        self._output = output
        self._weights = weights
        self._replicas = Replicas()
        self._distributed = distributed
        self._sharded = False
        self._fresh = False
        self._cursor: dict[str, Any] = {}
        self._log_name = "trainviz" if log is True else log
        self._logging = ExitStack()
        self._curve_step = 0
        self._curve_steps: dict[int | None, int] = {}
        self._recorder: Recorder | None = None
        self._known_events: DistributedEvents | None = None
        if hasattr(options.get("at"), "__next__"):
            options["at"] = list(options["at"] or ())  # An iterator can be read once.
        self._options = options
        self._schedule = check_options(options)
        self._path = own_options(options, launched=True).get("path")
        check_distributed(distributed, options.get("background", False))
        if domain is None and options.get("data") is not None:
            domain = self._choose(options["data"])
        self._is_chosen = domain is None
        if domain is not None:
            self._begin(domain)

    def _begin(self, domain: Domain) -> None:
        merged = cast(RecorderOptions, {**self._options, "output": self._output})
        if merged.get("path") is not None and not merged.get("overwrite"):
            # A checkpoint, which is loaded later, can also permit continuing an existing path.
            merged["resume"] = merged.get("resume") or "checkpoint"
        own = own_options(merged, launched=True)
        self._recorder = Recorder(domain, **own)
        background = self._options.get("background", False)
        self._known_events = DistributedEvents(self._recorder, self._distributed, background)

    @property
    def _events(self) -> DistributedEvents:
        assert self._known_events is not None
        return self._known_events

    def _continued(self) -> Domain | None:
        """Return the window of the recording at ``path``; its data become options, too."""
        if self._path is None or self._options.get("overwrite"):
            return None
        try:
            known = open_recording(self._path)
        except RecordingError:  # There is none, or creating the recorder tells what it is.
            return None
        if known.data is not None:
            y = known.data.y if known.data.is_labelled else None
            self._options = {"data": (known.data.X, y), **self._options}
        names: RecorderOptions = {"class_names": known.given_names, "classes": known.given_classes}
        self._options = {**names, **self._options}
        return known.domain

    def _chosen(self, loader: Any) -> Domain:
        """Return a window for samples of the training data, which become options, too."""
        data, note, names = training_samples(loader)
        if names is not None and "class_names" not in self._options:
            self._options = {**self._options, "class_names": names}
        return self._choose(data, note)

    def _choose(self, data: Any, note: str = "") -> Domain:
        """Choose a window for data, and take what goes with it into the options."""
        others = {name: value for name, value in self._options.items() if name != "data"}
        shown = {"predict": self._predict, "output": self._output, "weights": self._weights,
                 "distributed": self._distributed, "log": self._log_name}  # fmt: skip
        domain, self._options, line = choose_for(
            "LightningRecorder", data, self._output, cast(RecorderOptions, others),
            {name: value for name, value in shown.items() if value != _DEFAULTS[name]}, note,
        )  # fmt: skip
        if is_first(launched=True):
            say(line)
        return domain

    @property
    def recorder(self) -> Recorder:
        """The recorder; without a domain it is made when a fit starts."""
        if self._recorder is None:
            raise RecordingError(
                "LightningRecorder() has no domain: it chooses one for the training data when a "
                "fit starts, and until then there is no recording"
            )
        return self._recorder

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

    @property
    def state_key(self) -> str:
        """The key of this recorder's state in a checkpoint."""
        domain = None if self._is_chosen else self.recorder.domain
        return str(
            self._generate_state_key(
                **({} if domain is None else {"extent": domain.extent, "shape": domain.shape}),
                schedule=repr(self._schedule), output=self._output, weights=self._weights,
                **({} if domain is None or not domain.is_table else {"slice": repr(domain)}),
                **({} if self._path is None else {"path": os.fspath(self._path)}),
            )
        )  # fmt: skip

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Discard the state loaded by a previous run, such as a ``test``."""
        self._cursor = {}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Raise if the path is already taken, before anything is trained."""
        is_early = trainer.strategy.restore_checkpoint_after_setup
        is_known = self._recorder is not None and not is_early
        if trainer.is_global_zero and not trainer.fast_dev_run and is_known:
            self._claim()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Capture the state before the first step of this fit."""
        if trainer.world_size > 1 and not in_a_group() and self._distributed == "shard":
            raise ValueError(
                f"distributed='shard' needs a torch.distributed process group, which "
                f"{type(trainer.strategy).__name__} has not: record with distributed='rank_zero'"
            )
        self._sharded = sharing(trainer.strategy.model) != "replicated"
        if self._recorder is None and not trainer.fast_dev_run:
            self._begin(self._continued() or self._chosen(trainer.train_dataloader))
        if _records(trainer):
            # Created now, so that missing averaged weights raise before the first step.
            ask = self._asking(trainer, pl_module)
            self._claim()
            self._events.resume(self._cursor)
            if self._log_name and trainer.is_global_zero:
                self._logging.enter_context(provided("log")(trainer, self, self._log_name))
            with self._clocked(trainer):
                self._events.start(ask, trainer.current_epoch, trainer.global_step)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Capture an optimisation step, if it is due."""
        if self._schedule.counts_steps and _records(trainer):
            ask = self._asking(trainer, pl_module)
            with self._clocked(trainer, within_epoch=True):
                self._events.step_end(ask, trainer.global_step, trainer.callback_metrics)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Add the metrics that the module logged at the end of the previous epoch."""
        self._pick_up_metrics(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Capture the end of an epoch, if it is due."""
        if _records(trainer):
            # On every rank, because reading a metric logged with sync_dist=True is a collective.
            metrics = dict(trainer.callback_metrics)
            with self._clocked(trainer):
                self._events.epoch_end(
                    self._asking(trainer, pl_module), trainer.current_epoch + 1,
                    trainer.global_step, metrics,
                )  # fmt: skip
            self._fresh = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Capture the last state, unless it is already captured."""
        self._pick_up_metrics(trainer)
        if _records(trainer):
            with self._clocked(trainer):
                self._events.finish(self._asking(trainer, pl_module))

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Capture the weights that another callback has put in place at the end, if any."""
        if _records(trainer):
            with self._clocked(trainer):
                self._events.finish(self._asking(trainer, pl_module))
        # The loggers are finalised after this.
        self._logging.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Keep the snapshots captured so far, with their metrics."""
        if self._known_events is None:
            return
        self._events.interrupt()
        if trainer.is_global_zero:
            self._pick_up_metrics(trainer)
        self._logging.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the recording's position; empty before the first capture."""
        return {} if self._known_events is None else dict(self._events.cursor())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Remember the checkpoint's position; the recording is continued when training starts."""
        self._cursor = dict(state_dict)

    def curve_step(self, snapshot: Snapshot) -> int:
        """Return the step at which Lightning's curves have the moment of a snapshot."""
        return self._curve_steps.get(snapshot.step, self._curve_step)

    @contextmanager
    def _clocked(self, trainer: Any, *, within_epoch: bool = False) -> Iterator[None]:
        """Note the step of Lightning's curves for what the block captures."""
        # Batches, not the steps of all optimisers. Curves have the state after the first one at
        # step 0; the count rises only after the hook of its end.
        batches = trainer.fit_loop.epoch_loop._batches_that_stepped
        self._curve_step = max(0, batches if within_epoch else batches - 1)
        yield
        # In the background the capture is made later, when the count has risen.
        last = self.recorder.writer.last
        if last is not None:
            self._curve_steps.setdefault(last[1], self._curve_step)

    def _claim(self) -> None:
        told = self._cursor.get("path")
        if told is not None and told == self.recorder.location:
            self.recorder.allow_resume()
        try:
            self.recorder.claim()
        except RecordingError as error:
            if told in (None, self.recorder.location):
                raise
            raise RecordingError(f"{error}. The checkpoint goes on with {told!r}") from error

    def _pick_up_metrics(self, trainer: Any) -> None:
        # Callback hooks run before the module's, so what those log becomes visible only now.
        if self._fresh:
            self._fresh = False
            self._events.amend(trainer.callback_metrics)

    def _asking(self, trainer: Any, pl_module: Any) -> _QuietPredictor:
        # Sharded weights are gathered only within the forward of the strategy's wrapper.
        raw = trainer.strategy.model if self._sharded else pl_module
        module = raw if self._weights == "raw" else _averaged(trainer, raw)
        plugin = trainer.precision_plugin
        ask = TorchPredictor(
            module, predict=self._predict, output=self._output, replicas=self._replicas,
            forward_context=plugin.forward_context, convert=plugin.convert_input,
        )  # fmt: skip
        return _QuietPredictor(ask, trainer, pl_module)


class _QuietPredictor:
    """Evaluate a LightningModule, and discard what its forward logs."""

    def __init__(self, ask: TorchPredictor, trainer: Any, pl_module: Any) -> None:
        self._ask, self._trainer, self._pl_module = ask, trainer, pl_module

    @property
    def module(self) -> Any:
        return self._ask.module

    @contextmanager
    def session(self) -> Iterator[None]:
        with _no_logging(self._pl_module), self._ask.session():
            yield

    def __call__(self, points: Inputs) -> npt.NDArray[Any]:
        with _no_logging(self._pl_module):
            return self._ask(points)

    def frozen(self) -> FrozenTorchPredictor:
        frozen = self._ask.frozen()
        state = frozen.module.__dict__
        state["log"] = _log_nothing
        if "_trainer" in state:
            state["_trainer"] = _TrainerAtCapture(self._trainer)
        return frozen


class _TrainerAtCapture:
    """The trainer of a copied module: epoch and step are fixed, the rest is delegated."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self.current_epoch = trainer.current_epoch
        self.global_step = trainer.global_step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)


def _log_nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _records(trainer: Any) -> bool:
    # All ranks of a process group report events; DistributedEvents decides what each rank does.
    return bool(
        (trainer.is_global_zero or in_a_group())
        and not trainer.sanity_checking
        and not trainer.fast_dev_run
        and trainer.state.fn == "fit"
    )


def _averaged(trainer: Any, raw: Any) -> Any:
    for callback in trainer.callbacks:
        model = getattr(callback, "_average_model", None)
        if model is None:
            continue
        if isinstance(model, AveragedModel):
            return model.module
        # Until StochasticWeightAveraging begins, its model holds the weights before training.
        begun = getattr(callback, "n_averaged", None) is not None and int(callback.n_averaged) > 0
        return model if begun else raw
    raise ValueError(
        "weights='averaged', but the trainer has no WeightAveraging callback: add one "
        "(lightning.pytorch.callbacks.EMAWeightAveraging), or record weights='raw'"
    )


@contextmanager
def _no_logging(pl_module: Any) -> Iterator[None]:
    """Discard what the module logs within the block."""
    log = pl_module.__dict__.get("log")
    pl_module.__dict__["log"] = _log_nothing
    try:
        yield
    finally:
        if log is None:
            pl_module.__dict__.pop("log", None)
        else:
            pl_module.__dict__["log"] = log
