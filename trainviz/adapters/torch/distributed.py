"""The events of a training loop in a process group, handled by rank zero or by all ranks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast, get_args

import torch.distributed as dist

from trainviz.adapters.torch.sharding import End, Follower, Leader, Link, sharing
from trainviz.capture.recorder import Recorder
from trainviz.capture.training_events import TrainingEvents
from trainviz.evaluation.outputs import PredictProba

__all__ = [
    "Distributed",
    "DistributedEvents",
    "check_distributed",
    "in_a_group",
    "is_first",
    "own_options",
]

Distributed = Literal["rank_zero", "shard"]
T = TypeVar("T")
Options = TypeVar("Options", bound=Mapping[str, Any])

_PLACE = ("path", "overwrite", "resume")


class DistributedEvents(TrainingEvents):
    """The events of a training loop that runs on several ranks.

    Every rank reports every event. Outside a process group, or in one of a
    single rank, this is :class:`~trainviz.capture.training_events.TrainingEvents`.

    Parameters
    ----------
    recorder : Recorder
        Only that of rank zero gets snapshots.
    distributed : {"rank_zero", "shard"}
    background : bool, default False
        Whether the recorder captures in the background.

    Raises
    ------
    ValueError
        If ``distributed`` is unknown, or ``"shard"`` with ``background``.

    Notes
    -----
    Predict callables must have an attribute ``module``, the module that they
    evaluate.

    Examples
    --------
    >>> import torch, trainviz as tv
    >>> from trainviz.adapters.torch.predictor import TorchPredictor
    >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), output="logits")
    >>> events = DistributedEvents(recorder, "shard")
    >>> events.start(TorchPredictor(torch.nn.Linear(2, 2)))
    >>> recorder.recording.epochs
    array([0])
    """

    def __init__(
        self, recorder: Recorder, distributed: Distributed, background: bool = False
    ) -> None:
        super().__init__(recorder)
        check_distributed(distributed, background)
        self._distributed = distributed
        self._link: Link | None = None
        self._settled = False

    def start(
        self,
        predict: PredictProba,
        epoch: int = 0,
        step: int | None = None,
        *,
        anew: bool | None = None,
    ) -> None:
        """Report the start of training, on every rank."""
        run = super().start
        self._on_ranks(predict, lambda ask: run(ask, epoch, step, anew=anew))

    def epoch_end(
        self,
        predict: PredictProba,
        epoch: int,
        step: int | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> bool:
        """Report that ``epoch`` epochs are completed; return whether this rank has a snapshot."""
        run = super().epoch_end
        return bool(self._on_ranks(predict, lambda ask: run(ask, epoch, step, metrics)))

    def step_end(
        self, predict: PredictProba, step: int, metrics: Mapping[str, Any] | None = None
    ) -> bool:
        """Report that ``step`` steps are completed; return whether this rank has a snapshot."""
        if self._shares and self._settled and not self.step_due(step):
            # Every rank decides this from the same counts, so that most steps need no message.
            self.state.pass_step(step)
            return False
        run = super().step_end
        return bool(self._on_ranks(predict, lambda ask: run(ask, step, metrics)))

    def amend(self, metrics: Mapping[str, Any]) -> None:
        """Report late metrics, on every rank."""
        if not in_a_group() or dist.get_rank() == 0:
            super().amend(metrics)

    def finish(self, predict: PredictProba, weights_epoch: int | None = None) -> None:
        """Report the end of training, on every rank."""
        run = super().finish
        self._on_ranks(predict, lambda ask: run(ask, weights_epoch))

    def __getstate__(self) -> dict[str, Any]:
        # A process group cannot be pickled for a process that a trainer spawns.
        return {**super().__getstate__(), "_link": None}

    @property
    def _shares(self) -> bool:
        return self._distributed == "shard" and in_a_group()

    def _on_ranks(self, predict: Any, run: Callable[[PredictProba], T]) -> T | None:
        result: T | None
        if self._shares:
            result = self._share(predict, run)
        elif in_a_group():
            if not self._settled:
                _refuse_sharded(predict.module)
            result = run(predict) if dist.get_rank() == 0 else None
        else:
            result = run(predict)
        self._settled = True
        return result

    def _share(self, predict: Any, run: Callable[[PredictProba], T]) -> T | None:
        if self._link is None or self._link.stale:
            self._link = Link()
        if self._link.leads:
            return self._lead(self._link, predict, run)
        counts = Follower(self._link, predict).serve()
        if counts is not None:
            self.recorder.schedule = counts.pop("schedule")
            self.state.follow(counts)
        return None

    def _lead(self, link: Link, predict: Any, run: Callable[[PredictProba], T]) -> T:
        try:
            result = run(Leader(link, predict))
        except Exception as error:
            link.end(End(failure=f"{type(error).__name__}: {error}"))
            raise
        link.end(End(counts={**self.state.counts(), "schedule": self.recorder.schedule}))
        return result


def check_distributed(distributed: str, background: bool = False) -> None:
    """Raise for an unknown ``distributed=``, and for ``"shard"`` with ``background``."""
    if distributed not in get_args(Distributed):
        raise ValueError(
            f"distributed={distributed!r}: expected one of {', '.join(get_args(Distributed))}"
        )
    if distributed == "shard" and background:
        raise ValueError(
            "distributed='shard' with background=True: the ranks share a capture in lockstep, "
            "which a thread beside the training would lose; leave out one of the two"
        )


def own_options(options: Options, launched: bool = False) -> Options:
    """Remove the recording's path from the options of all ranks but zero, which alone opens it.

    Parameters
    ----------
    options : dict
        The keyword arguments of a recorder.
    launched : bool, default False
        Whether to read the rank from environment variables if there is no
        process group yet, as when a trainer creates the group after the
        recorder. Without a trainer, processes that were launched together may
        be independent.

    Returns
    -------
    dict
        The same on rank zero, without ``path``, ``overwrite`` and ``resume`` on others.
    """
    if _rank(launched) == 0:
        return options
    kept = {name: value for name, value in options.items() if name not in _PLACE}
    return cast(Options, kept)


def _rank(launched: bool) -> int:
    if in_a_group():
        return int(dist.get_rank())
    if not launched:
        return 0
    known = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return next((int(rank) for rank in known if rank is not None and rank.isdigit()), 0)


def is_first(launched: bool = False) -> bool:
    """Whether this process has rank zero, or there is no other; as for :func:`own_options`."""
    return _rank(launched) == 0


def in_a_group() -> bool:
    """Whether this process is one of several in a ``torch.distributed`` group."""
    return bool(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def _refuse_sharded(module: Any) -> None:
    if sharing(module) != "replicated":
        raise ValueError(
            "distributed='rank_zero' cannot ask a model whose weights are spread over the ranks "
            "(FSDP, tensor parallel): its forward needs all of them. Give distributed='shard'"
        )
