"""A torch model as a predict callable: evaluated undisturbed, and frozen for the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from trainviz._common.arrays import to_numpy
from trainviz.adapters.session import SessionPredictor
from trainviz.adapters.torch.isolation import ThreadState, evaluating, undisturbed
from trainviz.adapters.torch.replicas import Replica, Replicas
from trainviz.domain.inputs import Inputs, convert_each, to_numbers
from trainviz.evaluation.outputs import Output

__all__ = ["FrozenTorchPredictor", "Predict", "TorchPredictor", "bare_module"]

Predict = Callable[[Any, Any], Any]

_KEYS = {
    "logits": ("logits",),
    "probabilities": ("probabilities", "probs"),
    "log_probabilities": ("log_probabilities", "log_probs"),
    "values": ("values", "prediction", "predictions"),
    "multilabel": ("probabilities", "probs"),
    "multilabel_logits": ("logits",),
}


class _Target(NamedTuple):
    """A module, and where and as what it takes its inputs."""

    module: Any
    device: Any
    dtype: Any

    @classmethod
    def of(cls, module: Any) -> _Target | None:
        """Return None as long as the module has lazy parameters."""
        # Not module.parameters(), which takes several times as long.
        parts = [part._parameters.values() for part in module.modules()]
        parameters = [each for part in parts for each in part if each is not None]
        if any(map(torch.nn.parameter.is_lazy, parameters)):
            return None
        device = torch.device("cpu")
        for place, tensor in enumerate(chain(parameters, module.buffers())):
            if place == 0:
                device = tensor.device
            if tensor.is_floating_point():
                return cls(module, device, tensor.dtype)
        return cls(module, device, torch.get_default_dtype())

    def tensor(self, part: npt.NDArray[Any]) -> Any:
        # Integers, which only preprocess= can return, stay so, as embedding layers need them.
        part = to_numbers(part)
        wanted = None if part.dtype.kind in "iu" else self.dtype
        return torch.from_numpy(np.ascontiguousarray(part)).to(device=self.device, dtype=wanted)


class TorchPredictor(SessionPredictor):
    """A torch model as a callable from numpy points to numpy outputs.

    The model is evaluated in eval mode, without gradients, eagerly, on its own
    device and in its own dtype. Afterwards its state is restored: the mode of
    each submodule, buffers, autocast's weight cache, and torch's random states if the model draws.

    Parameters
    ----------
    model : nn.Module
        Compiled, ``DataParallel`` and ``DistributedDataParallel`` wrappers are
        removed and the module inside is evaluated, so that nothing is
        recompiled and no other process is waited for.
    predict : callable, optional
        ``(model, points) -> output`` for models that need other arguments.
        ``points`` is a tensor on the model's device, or a dict or tuple of
        tensors if the domain has several inputs; without ``predict`` the model
        is called with them as keyword or positional arguments.
    output : str, default "logits"
        Which entry to use if the model returns a dict. The values are returned
        unchanged.
    forward_context : callable, optional
        Returns a context manager for the forward pass (a precision plugin's).
    convert : callable, optional
        Applied to the points before the forward pass (a precision plugin's).
    replicas : Replicas, optional
        The pool that :meth:`frozen` takes copies of the model from.

    Examples
    --------
    >>> import torch, numpy as np
    >>> predictor = TorchPredictor(torch.nn.Linear(2, 3))
    >>> predictor(np.zeros((5, 2))).shape
    (5, 3)
    """

    def __init__(
        self,
        model: Any,
        *,
        predict: Predict | None = None,
        output: Output = "logits",
        forward_context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        convert: Callable[[Any], Any] | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise TypeError(
                f"model={type(model).__name__}: expected a torch.nn.Module; for anything else use "
                "trainviz.Recorder with a callable (N, D) array -> (N, C)"
            )
        if predict is not None and not callable(predict):
            raise TypeError(f"predict={predict!r}: expected a callable (model, points) -> output")
        self._model = model
        self._predict = predict
        self._output = output
        self._forward_context = forward_context
        self._convert = convert
        self._replicas = Replicas() if replicas is None else replicas
        self._target: _Target | None = None
        self._points: Inputs | None = None

    @property
    def module(self) -> Any:
        """The module that is evaluated, without wrappers."""
        return bare_module(self._model)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Put the model into eval mode, and restore it."""
        target = _Target.of(bare_module(self._model))
        if target is None:
            yield  # What asks it is refused, and can say at which points.
            return
        streams = self._replicas.streams
        with undisturbed(target.module, streams, self._again(target)):
            self._target = target
            try:
                yield
            finally:
                self._target = None
        self._points = None
        if streams.draws:
            self._replicas.unsafe = "it draws from torch's random stream when asked"

    def answer(self, points: Inputs) -> npt.NDArray[Any]:
        """Ask the model, which is in eval mode."""
        if self._target is None:
            raise RuntimeError(
                "the model has lazy parameters that are not initialised yet; call it once with a "
                "dummy batch before recording, so that recording cannot change how they are "
                "initialised"
            )
        self._points = points
        return self.ask(self._target, points)

    def ask(self, target: _Target, points: Inputs) -> npt.NDArray[Any]:
        """Return the output of the model or a copy of it, which is in eval mode."""
        default = torch.get_default_dtype()
        with self._forward_context():
            if torch.get_default_dtype() != default:
                self._replicas.unsafe = "its precision changes the default dtype of the process"
            inputs = convert_each(points, target.tensor)
            if self._convert is not None:
                inputs = self._convert(inputs)
            module = target.module
            answer = self._predict(module, inputs) if self._predict else _forward(module, inputs)
            return to_numpy(_pick(answer, self._output))

    def _again(self, target: _Target) -> Callable[[], object] | None:
        """Return what asks for one point again, unless all processes of a group must ask."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return None

        def ask_one_point() -> None:
            if self._points is not None:
                self.ask(target, convert_each(self._points, lambda part: part[:1]))

        return ask_one_point

    def frozen(self) -> FrozenTorchPredictor:
        """Return a callable of a copy of the model as it is now, for use on any thread.

        Raises
        ------
        RuntimeError
            If the model must not be evaluated on another thread.
        """
        return FrozenTorchPredictor(self, self._replicas.take(bare_module(self._model)))


class FrozenTorchPredictor:
    """A copy of a torch model as a callable, made by :meth:`TorchPredictor.frozen`.

    Parameters
    ----------
    predictor : TorchPredictor
    replica : Replica
        The copy; :meth:`release` returns it to its pool.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 3)
    >>> frozen = TorchPredictor(model).frozen()
    >>> frozen(np.zeros((5, 2))).shape
    (5, 3)
    >>> frozen.release()
    """

    def __init__(self, predictor: TorchPredictor, replica: Replica) -> None:
        self._predictor = predictor
        self._replica = replica
        self._target = cast(_Target, _Target.of(replica.module))
        self._host = ThreadState()

    @property
    def module(self) -> Any:
        """The copy."""
        return self._replica.module

    def __call__(self, points: Inputs) -> npt.NDArray[Any]:
        """Return the copy's output for ``points``, shape (N, C) or (N,)."""
        with self._replica.on_side_stream(), self._host.restored(), evaluating(self.module):
            return self._predictor.ask(self._target, points)

    def release(self) -> None:
        """Return the copy to its pool."""
        self._replica.release()


def bare_module(model: Any) -> Any:
    """Return a module without its compile and data-parallel wrappers."""
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, wrappers):
            model = model.module
        else:
            return model


def _forward(module: Any, inputs: Inputs) -> Any:
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def _pick(answer: Any, output: str) -> Any:
    if isinstance(answer, torch.Tensor):
        return answer
    if not isinstance(answer, Mapping) and hasattr(answer, output):
        answer = getattr(answer, output)
    if isinstance(answer, Mapping):
        keys = [key for key in _KEYS[output] if key in answer] or list(answer)
        if len(keys) != 1:
            raise TypeError(
                f"the model returns a dict with the entries {list(answer)}, none of them "
                f"{_KEYS[output][0]!r}; say which one to use: "
                f"predict=lambda model, x: model(x)[{str(keys[0])!r}]"
                if keys
                else "the model returns an empty dict"
            )
        answer = answer[keys[0]]
    if isinstance(answer, (tuple, list)) and answer:
        answer = answer[0]
    if not isinstance(answer, torch.Tensor):
        raise TypeError(
            f"the model returns {type(answer).__name__}; expected a tensor, a tuple or dict of "
            "tensors, or give predict=lambda model, x: ..."
        )
    return answer
