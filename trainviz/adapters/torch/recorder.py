"""PyTorch: a recorder for plain training loops."""

from __future__ import annotations

from typing import Any

from typing_extensions import Unpack

from trainviz.adapters.loop import LoopRecorder
from trainviz.adapters.torch.distributed import Distributed, DistributedEvents, own_options
from trainviz.adapters.torch.predictor import Predict, TorchPredictor
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.domain.domain import Domain
from trainviz.evaluation.outputs import Output

__all__ = ["TorchRecorder"]


class TorchRecorder(LoopRecorder):
    """Record a plain PyTorch training loop.

    Parameters
    ----------
    model : nn.Module
        On any device and in any dtype; see :class:`TorchPredictor`. Its
        forward may return logits, one sigmoid column, a tuple (the first entry
        counts) or a dict (the entry ``"logits"``, or ``"probabilities"`` with
        ``output="probabilities"``).
    domain : Domain
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments.
    output : str, default "logits"
        What the model's values are; see :func:`trainviz.evaluate`.
    first_epoch : int, default 0
        The number your loop gives its first epoch.
    distributed : {"rank_zero", "shard"}, default "rank_zero"
        What the ranks of a ``torch.distributed`` group do, if there is one.
        ``"rank_zero"``: rank zero evaluates its replica, the others do nothing.
        ``"shard"``: the points are distributed over the ranks, which is faster
        if the model is expensive, and required if its weights are sharded
        (FSDP). Either way the recording is on rank zero.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``, ``at``,
        ``schedule``, ``data``, ``class_names``, ``on_error``, ...

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Notes
    -----
    Snapshots count *completed* epochs: ``start()`` records epoch 0, and
    ``epoch_end(0)``, at the end of the loop's first pass, records epoch 1.

    With ``distributed="shard"`` every rank must create the recorder, after
    ``init_process_group``, and call the same methods. Rank zero's domain, data,
    schedule and buffers are used on all ranks. If one rank's forward fails, the
    capture fails on all; what happens then depends on rank zero's ``on_error``.

    Examples
    --------
    >>> import torch, trainviz as tv
    >>> model = torch.nn.Linear(2, 3)
    >>> domain = tv.Domain((-1, 1), (-1, 1), points_per_axis=9)
    >>> with tv.TorchRecorder(model, domain, every=2) as rec:  # start() and finish()
    ...     for epoch in range(5):
    ...         rec.epoch_end(epoch, loss=1 / (epoch + 1))     # after training one epoch
    >>> rec.recording.epochs
    array([0, 2, 4, 5])
    """

    def __init__(
        self,
        model: Any,
        domain: Domain,
        *,
        predict: Predict | None = None,
        output: Output = "logits",
        first_epoch: int = 0,
        distributed: Distributed = "rank_zero",
        **options: Unpack[RecorderOptions],
    ) -> None:
        recorder = Recorder(domain, output=output, **own_options(options))
        super().__init__(
            recorder,
            TorchPredictor(model, predict=predict, output=output),
            first_epoch=first_epoch,
            events=DistributedEvents(recorder, distributed, options.get("background", False)),
        )
