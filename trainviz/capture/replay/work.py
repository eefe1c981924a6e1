"""Evaluation of one checkpoint of a replay, in this process or in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from trainviz.capture.random_streams import host_rng_preserved
from trainviz.capture.replay.checkpoints import Checkpoint, CheckpointInfo
from trainviz.domain.domain import Domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import CheckpointError
from trainviz.evaluation.evaluator import Evaluator, Method, session
from trainviz.evaluation.outputs import Output, PredictProba
from trainviz.recordings.snapshot import Snapshot

__all__ = ["Loader", "Outcome", "Work", "one_after_another"]

Outcome: TypeAlias = "tuple[Checkpoint, Snapshot | Exception]"


class Loader(Protocol):
    """Reads checkpoints of one kind; the adapters implement it."""

    def describe(self, path: str) -> CheckpointInfo:
        """Return the epoch, step and metrics in a file, or raise a :class:`CheckpointError`."""
        ...

    def open(self, path: str) -> tuple[PredictProba, Output]:
        """Return a file's model, valid until the next call, and the kind of its output."""
        ...

    def restore(self) -> None:
        """Give the user's model back the weights that it had before."""
        ...


@dataclass(frozen=True)
class Work:
    """What all checkpoints of a replay have in common; it is pickled for other processes.

    Attributes
    ----------
    loader : Loader
    domain : Domain
    data : LabelledData or None
    evaluation, tolerance, batch_size
        As for :class:`~trainviz.Recorder`.
    """

    loader: Loader
    domain: Domain
    data: LabelledData | None
    evaluation: Method
    tolerance: float
    batch_size: int | str

    def snapshot(self, checkpoint: Checkpoint) -> Snapshot:
        """Evaluate one checkpoint.

        Raises
        ------
        CheckpointError
            If it cannot be loaded or evaluated; the message names it.
        TypeError, ImportError
            If an argument is wrong or a package missing, so that every checkpoint would fail.
        """
        try:
            return self._snapshot(checkpoint)
        except (CheckpointError, ImportError, TypeError):
            raise  # The last two concern the arguments, and so all checkpoints.
        except Exception as error:
            raise CheckpointError(
                f"{checkpoint} cannot be replayed: {type(error).__name__}: {error}"
            ) from error

    def _snapshot(self, checkpoint: Checkpoint) -> Snapshot:
        with host_rng_preserved():
            ask, output = self.loader.open(checkpoint.path)
            # A new one each time, because an evaluator builds on its last map, and a map must
            # depend on its own checkpoint alone, wherever it is made.
            evaluator = Evaluator(
                self.domain, method=self.evaluation, tolerance=self.tolerance, output=output,
                batch_size=self.batch_size, data=self.data,  # type: ignore[arg-type]
            )  # fmt: skip
            with session(ask):
                found = evaluator(ask, (checkpoint.epoch, checkpoint.step))
        return Snapshot(
            found.map, checkpoint.epoch, checkpoint.step, checkpoint.metrics, found.evaluations,
            found.data_predictions, found.error, found.method,
        )  # fmt: skip


def one_after_another(work: Work, checkpoints: Sequence[Checkpoint]) -> Iterator[Outcome]:
    """Evaluate checkpoints in this process.

    Yields
    ------
    checkpoint : Checkpoint
    outcome : Snapshot or Exception
    """
    try:
        for checkpoint in checkpoints:
            try:
                yield checkpoint, work.snapshot(checkpoint)
            except CheckpointError as error:
                yield checkpoint, error
    finally:
        work.loader.restore()
