"""Evaluate a model on several ranks together.

Rank zero leads. It runs the recorder as in a single process; for a call with
enough points it sends each rank a part of them, and the other ranks evaluate
what they receive until rank zero ends the capture. Only rank zero decides which
points come next (so ranks cannot get out of step because their arithmetic
differs in the last bit), holds the recording, and opens a path. Each reply says
whether the forward succeeded: if it fails on one rank, the capture fails
instead of waiting forever.

Messages use a gloo group of the recorder's own, so that they do not interleave
with the training's collectives, and need no accelerator.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from trainviz._common.terminal import warn
from trainviz.capture.random_streams import host_rng_preserved
from trainviz.errors import CaptureWarning, EvaluationError
from trainviz.evaluation.evaluator import session

__all__ = ["End", "Follower", "Leader", "Link", "LostError", "sharing"]

_WORTH_SHARING = 16
"""The minimum number of points per rank to share a call; with fewer, messages cost more."""

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def sharing(module: Any) -> Literal["replicated", "sharded", "together"]:
    """Return how a module's weights are distributed over the ranks.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    {"replicated", "sharded", "together"}
        ``"replicated"``: each rank has all weights and can run a forward alone;
        ``"sharded"``: all ranks must run the forward at the same time (FSDP,
        ZeRO-3); ``"together"``: and on the same points (tensor parallel layers,
        meshes of more than one dimension).

    Examples
    --------
    >>> sharing(torch.nn.Linear(2, 2))
    'replicated'
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    kinds = tuple(
        getattr(fsdp, name) for name in ("FullyShardedDataParallel", "FSDPModule")
        if hasattr(fsdp, name)
    )  # fmt: skip
    sharded = any(isinstance(part, kinds) for part in module.modules())
    parameters = list(module.parameters())
    dimensions = {p.device_mesh.ndim for p in parameters if hasattr(p, "device_mesh")}
    if any(n > 1 for n in dimensions) or (dimensions and not sharded):
        return "together"
    zero = any(hasattr(parameter, "ds_id") for parameter in parameters)
    return "sharded" if sharded or zero else "replicated"


@dataclass(frozen=True)
class _Question:
    points: npt.NDArray[Any]
    buffers: dict[str, Any] | None
    """The buffers of rank zero, with the first message of a capture; None later."""


@dataclass(frozen=True)
class _Reply:
    answer: npt.NDArray[Any] | None = None
    failure: str = ""
    out_of_memory: bool = False
    fingerprint: int = 0


@dataclass(frozen=True)
class End:
    """The last message of an event.

    Attributes
    ----------
    counts : dict or None
        The counts of rank zero's events, for :meth:`TrainingEvents.follow`, and its schedule.
    failure : str
        The exception that rank zero raised; empty if none.
    """

    counts: dict[str, Any] | None = None
    failure: str = ""


class LostError(RuntimeError):
    """The ranks cannot reach each other any more."""


class Link:
    """The recorder's own process group, for messages between rank zero and the others."""

    def __init__(self) -> None:
        self._world = dist.group.WORLD
        self._group = dist.new_group(backend="gloo", timeout=_patience())
        self.size = dist.get_world_size(self._group)
        self.leads = dist.get_rank(self._group) == 0
        self.lost = False

    @property
    def stale(self) -> bool:
        """Whether the training's process group has been replaced since this was made."""
        return self._world is not dist.group.WORLD

    def ask(self, questions: list[_Question], own: Callable[[], _Reply]) -> list[_Reply]:
        """Send a question to each rank; return the replies of all, rank zero's first."""
        self._scatter([None, *questions[1:]])
        return self._gather(own())

    def end(self, message: End) -> None:
        """Send the last message, after which the other ranks go on training."""
        if not self.lost:
            try:
                self._scatter([message] * self.size)
            except LostError as error:
                _warn_of_loss(error)

    def receive(self) -> _Question | End:
        """Wait for the next message from rank zero."""
        message: _Question | End = self._scatter(None)
        return message

    def reply(self, reply: _Reply) -> None:
        """Send a reply to rank zero."""
        self._gather(reply)

    def _scatter(self, messages: list[Any] | None) -> Any:
        received = [None]
        with self._watched():
            dist.scatter_object_list(received, messages, src=0, group=self._group)
        return received[0]

    def _gather(self, reply: _Reply) -> list[Any]:
        replies = [None] * self.size if self.leads else None
        with self._watched():
            dist.gather_object(reply, replies, dst=0, group=self._group)
        return replies or []

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.lost = True
            raise LostError(
                "the ranks have lost touch; later captures are made by rank zero alone, if it "
                f"holds the whole model: {type(error).__name__}: {error}"
            ) from error


def _patience() -> timedelta | None:
    """Return the timeout of the training's process group; None (torch's default) if unknown."""
    world: Any = dist.group.WORLD
    # torch exposes the timeout only in private attributes, which may change.
    for device in getattr(world, "_device_types", ()):
        options: Any = getattr(world._get_backend(device), "options", None)
        timeout = getattr(options, "_timeout", None)
        if isinstance(timeout, timedelta):
            return timeout
    return None


class Leader:
    """A model that all ranks evaluate together, as rank zero's predict callable.

    Parameters
    ----------
    link : Link
    predict : TorchPredictor
        Or any other callable with an attribute ``module``.
    """

    def __init__(self, link: Link, predict: Any) -> None:
        self._link = link
        self._predict = predict
        self._sharing = sharing(predict.module)
        self._asked = False

    def session(self) -> AbstractContextManager[Any]:
        """Put rank zero's replica into eval mode; the other ranks do so with theirs."""
        return session(self._predict)

    def __call__(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the model's output for ``points``, shape (N, C) or (N,)."""
        if self._sharing == "replicated" and (
            self._link.lost or len(points) < _WORTH_SHARING * self._link.size
        ):
            answer: npt.NDArray[Any] = self._predict(points)
            return answer
        if self._link.lost:
            raise LostError("the other ranks were lost in an earlier capture")
        return self._shared(_narrow(points, self._predict.module))

    def _shared(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        parts = self._parts(points)
        buffers = None if self._asked else _buffers(self._predict.module)
        # A rank without points gets one, since a sharded forward needs all ranks.
        questions = [_Question(part if len(part) else points[:1], buffers) for part in parts]
        errors: list[Exception] = []
        replies = self._link.ask(questions, lambda: self._own(questions[0].points, errors))
        if errors:
            raise errors[0]
        self._check(replies)
        self._asked = True
        if self._sharing == "together":
            return _answer(replies[0])
        return np.concatenate(
            [_answer(reply) for part, reply in zip(parts, replies, strict=True) if len(part)]
        )

    def _parts(self, points: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        if self._sharing == "together":
            return [points] * self._link.size
        return np.array_split(points, self._link.size)

    def _own(self, points: npt.NDArray[Any], errors: list[Exception]) -> _Reply:
        try:
            with _resharded(self._predict.module):
                return _Reply(self._predict(points))
        except Exception as error:
            errors.append(error)
            return _Reply()

    def _check(self, replies: list[_Reply]) -> None:
        for rank, reply in enumerate(replies[1:], start=1):
            if reply.failure:
                kind = MemoryError if reply.out_of_memory else RuntimeError
                raise kind(f"on rank {rank}: {reply.failure}")
        if self._asked or self._sharing != "replicated":
            return
        own = _fingerprint(self._predict.module)
        for rank, reply in enumerate(replies[1:], start=1):
            if reply.fingerprint != own:
                raise RuntimeError(
                    f"the weights of rank {rank} are not those of rank 0, so that a shared map "
                    "would be a patchwork of two models; record with distributed='rank_zero'"
                )


class Follower:
    """What the other ranks do during an event: evaluate points until rank zero ends it.

    Parameters
    ----------
    link : Link
    predict : TorchPredictor
        This rank's own.
    """

    def __init__(self, link: Link, predict: Any) -> None:
        self._link = link
        self._predict = predict

    def serve(self) -> dict[str, Any] | None:
        """Evaluate points and reply until the event is over.

        Returns
        -------
        dict or None
            The counts of rank zero; None if the connection to it is lost.

        Raises
        ------
        EvaluationError
            If the event has raised on rank zero.
        """
        if self._link.lost:
            return None
        try:
            with host_rng_preserved(), ExitStack() as stack:
                while isinstance(message := self._link.receive(), _Question):
                    self._link.reply(self._reply(message, stack))
        except LostError as error:
            _warn_of_loss(error)
            return None
        if message.failure:
            raise EvaluationError(f"the capture failed on rank zero: {message.failure}")
        return message.counts

    def _reply(self, question: _Question, stack: ExitStack) -> _Reply:
        try:
            module, fingerprint = self._predict.module, 0
            if question.buffers is not None:
                if sharing(module) == "replicated":
                    fingerprint = _fingerprint(module)
                # The model stays in eval mode until rank zero ends the event.
                stack.enter_context(session(self._predict))
                _put_buffers(module, question.buffers)
            with _resharded(module):
                return _Reply(self._predict(question.points), fingerprint=fingerprint)
        except Exception as error:
            full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            return _Reply(failure=f"{type(error).__name__}: {error}", out_of_memory=full)


def _answer(reply: _Reply) -> npt.NDArray[Any]:
    assert reply.answer is not None
    return reply.answer


def _narrow(points: npt.NDArray[Any], module: Any) -> npt.NDArray[Any]:
    """Cast points to float32 for a float32 model, which would do so anyway, to send less."""
    precisions = {p.dtype for p in module.parameters() if p.is_floating_point()}
    return points.astype(np.float32) if precisions == {torch.float32} else points


def _buffers(module: Any) -> dict[str, Any]:
    # Data-parallel ranks have equal weights, but each has its own batch-norm running statistics.
    return {
        name: buffer.detach().cpu() for name, buffer in module.named_buffers()
        if not hasattr(buffer, "device_mesh")
    }  # fmt: skip


def _put_buffers(module: Any, buffers: Mapping[str, Any]) -> None:
    for name, buffer in module.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])


def _fingerprint(module: Any) -> int:
    """Return a checksum of the weights' bits: an integer sum, whatever the order of summation."""
    totals: dict[Any, Any] = {}
    for place, parameter in enumerate(module.parameters(), start=1):
        values = parameter.detach()
        if values.is_complex():
            values = torch.view_as_real(values)
        words = values.view(_WORDS[values.element_size()])
        so_far = totals.get(words.device, 0)
        totals[words.device] = so_far + place * words.sum(dtype=torch.int64)
    return sum(int(total) for total in totals.values())


@contextmanager
def _resharded(module: Any) -> Iterator[None]:
    """Reshard FSDP modules afterwards, since only a backward would do it otherwise."""
    try:
        yield
    finally:
        kind = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", ())
        for part in module.modules():
            if isinstance(part, kind):
                part.reshard()


def _warn_of_loss(error: Exception) -> None:
    warn(f"a capture was not shared: {error}", CaptureWarning, stacklevel=4)
