"""Transformers: a callback that records ``Trainer.train``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from typing_extensions import Unpack

from trainviz._common.providers import install_hint
from trainviz.adapters.callback import CallbackRecorder
from trainviz.capture.recorder import Recorder, RecorderOptions
from trainviz.capture.training_state import Stage
from trainviz.domain.domain import Domain
from trainviz.evaluation.outputs import Output

try:
    import torch
    from transformers import TrainerCallback

    from trainviz.adapters.torch.distributed import (
        Distributed,
        DistributedEvents,
        in_a_group,
        own_options,
    )
    from trainviz.adapters.torch.predictor import TorchPredictor
    from trainviz.adapters.torch.replicas import Replicas
except ImportError as error:
    raise ImportError(install_hint("transformers", "TransformersRecorder")) from error

__all__ = ["TransformersRecorder"]

Predict = Callable[[Any, Any], Any]
_BOOKKEEPING = ("epoch", "total_flos", "num_input_tokens_seen")
_BOOKKEEPING_ENDS = ("_runtime", "_per_second")


class TransformersRecorder(CallbackRecorder, TrainerCallback):  # type: ignore[misc]
    """Record a model while the ``Trainer`` of transformers trains it.

    Parameters
    ----------
    domain : Domain
        Its inputs are those of the model: for a model of text the embeddings of a
        sequence of tokens, ``input_shape=(length, hidden size)``, which it takes as
        ``inputs_embeds``; see the notes.
    predict : callable, optional
        ``(model, points) -> output``. Default: the model is called with the points as
        ``inputs_embeds``, or as ``input_ids`` if ``preprocess=`` of the domain makes
        integers of them; a model of other inputs with its ``main_input_name``
        (``pixel_values``), and a module without that with the points alone.
    output : str, default "logits"
        What the model returns; see :func:`trainviz.evaluate`.
    distributed : {"rank_zero", "shard"}, default "rank_zero"
        As for :class:`LightningRecorder`; FSDP needs ``"shard"``.
    **options
        The keyword arguments of :class:`trainviz.Recorder`: ``every``,
        ``every_n_steps``, ``at``, ``schedule``, ``data``, ``class_names``, ``path``, ...

    Attributes
    ----------
    recorder : Recorder
    recording : Recording

    Notes
    -----
    Snapshots count *completed* epochs; an epoch that ``max_steps`` cuts short is not one, and
    its end is captured by its step. What the trainer logs and evaluates are the metrics; times
    and counts of operations are left out. With ``load_best_model_at_end=True`` the last
    state is captured, and once more the best one.

    Text has no coordinates, but the embeddings of its tokens have: they are what the model
    computes with. ``model.get_input_embeddings()(input_ids)`` is the sample of a text, and
    ``Domain.through`` lays the plane through three of them. Where the embeddings are
    trained too, texts move away from the samples; with
    ``model.get_input_embeddings().requires_grad_(False)`` they stay. The model is asked without
    an attention mask, as for texts of one length.

    ``train(resume_from_checkpoint=...)`` continues the recording: in another process, with
    ``path=`` and ``resume=True``.

    Examples
    --------
    >>> import torch, trainviz as tv
    >>> from transformers import BertConfig, BertForSequenceClassification
    >>> model = BertForSequenceClassification(BertConfig(
    ...     vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
    ...     intermediate_size=4, num_labels=3))
    >>> with torch.no_grad():
    ...     texts = model.get_input_embeddings()(torch.tensor([[1, 2], [3, 4], [5, 6]]))
    >>> domain = tv.Domain.through(*texts.numpy(), resolution=20)
    >>> rec = tv.TransformersRecorder(domain, class_names=["good", "bad", "neither"])

    ``Trainer(model, args, train_dataset=..., callbacks=[rec])`` records it.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        predict: Predict | None = None,
        output: Output = "logits",
        distributed: Distributed = "rank_zero",
        **options: Unpack[RecorderOptions],
    ) -> None:
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
        merged = cast(RecorderOptions, {**options, "output": output})
        self.recorder = Recorder(domain, **own_options(merged, launched=True))
        background = options.get("background", False)
        self._events = DistributedEvents(self.recorder, distributed, background)
        self._predict, self._output = predict, output
        self._replicas = Replicas()
        self._ask: TorchPredictor | None = None
        self._noted_at: tuple[int, int | None] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Capture the state before the first step, or where a checkpoint goes on."""
        self._ask = TorchPredictor(
            kwargs["model"], predict=self._predict or _predict, output=self._output,
            replicas=self._replicas,
        )  # fmt: skip
        if state.global_step and self._events.state.captured is not None:
            self._events.state.stage = Stage.RESUMED
        self._events.start(self._ask, _completed(state), state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Capture an optimisation step, if it is due."""
        if self._ask is not None:
            self._events.step_end(self._ask, state.global_step)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Capture the end of an epoch, if it is due; its metrics come later."""
        if self._ask is not None and _is_whole(state):
            self._events.epoch_end(self._ask, _completed(state), state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **kwargs: Any
    ) -> None:
        """Keep what the trainer logs, with the snapshot of this step if there is one."""
        if self._ask is None:
            return  # An evaluation of its own, before or after training.
        if "train_runtime" in logs:
            # The summary, after the last step, and before the best model is loaded again.
            self._note({})
            self._events.finish(self._ask)
        else:
            self._note(_measured(logs))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Capture the last state, and the best one if that was loaded again."""
        if self._ask is not None:
            self._note({})
            self._events.finish(self._ask, weights_epoch=self._best_epoch(args, state))
            self._ask = None

    def _note(self, measured: Mapping[str, Any]) -> None:
        """Keep metrics of this moment, for the snapshot of its end as well."""
        now = self._events.state
        if now.position != self._noted_at:
            self._noted_at, now.metrics = now.position, {}
        now.metrics = {**now.metrics, **measured}
        if measured and not (in_a_group() and torch.distributed.get_rank()):
            self.recorder.log(epoch=now.epoch, step=now.step, metrics=measured)

    def _best_epoch(self, args: Any, state: Any) -> int | None:
        """Return the epoch that the best model comes from, if it is the end of one."""
        if not args.load_best_model_at_end or not state.best_global_step:
            return None
        found = state.best_global_step * state.epoch / state.global_step
        offset = self._events.state.epoch_offset
        return round(found) + offset if abs(found - round(found)) < 1e-6 else None


def _predict(model: Any, points: Any) -> Any:
    name = getattr(model, "main_input_name", None)
    if name is None:
        return model(points)
    if name == "input_ids" and torch.is_floating_point(points):
        name = "inputs_embeds"
    return model(**{name: points})


def _is_whole(state: Any) -> bool:
    # The trainer counts epochs by steps, as a float.
    return bool(abs(state.epoch - round(state.epoch)) < 1e-6)


def _completed(state: Any) -> int:
    return round(state.epoch) if _is_whole(state) else int(state.epoch)


def _measured(logs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in logs.items()
        if name not in _BOOKKEEPING and not name.endswith(_BOOKKEEPING_ENDS)
    }  # fmt: skip
