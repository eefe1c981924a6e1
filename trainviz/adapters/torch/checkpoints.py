"""Checkpoints of PyTorch and Lightning, loaded into one model after another."""

from __future__ import annotations

import copy
import inspect
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from trainviz.adapters.torch.predictor import Predict, TorchPredictor, bare_module
from trainviz.capture.replay.checkpoints import CheckpointInfo
from trainviz.errors import CheckpointError
from trainviz.evaluation.outputs import Output

__all__ = ["TorchCheckpoints"]

_STATES = ("state_dict", "model_state_dict", "model")
_EPOCHS = ("epoch", "epochs")
_REFUSED = re.compile(
    r"(Unsupported (global|class)|Trying to call reduce)[^\n]*?(?= was not| Please|\n|$)"
)
"""What torch's message says of more than weights in a file."""

_STEPS = ("global_step", "step", "steps", "iteration")


class TorchCheckpoints:
    """Load ``.ckpt``, ``.pt``, ``.pth`` and ``.safetensors`` files into one model.

    Parameters
    ----------
    model : nn.Module, class, callable or None
        A module, whose weights :meth:`restore` puts back; a callable that returns one; or a
        LightningModule class, whose arguments come from the checkpoint. None only for files that
        contain a whole module.
    predict : callable, optional
    output : {"logits", "probabilities", "log_probabilities"}, default "logits"
        As for :class:`~trainviz.adapters.torch.predictor.TorchPredictor`.
    allow_pickle : bool, default False
        Load files with objects other than tensors and plain containers, which can run code.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = tempfile.mkdtemp() + "/a.pt"
    >>> torch.save({"epoch": 4, "model": torch.nn.Linear(2, 3).state_dict()}, path)
    >>> checkpoints = TorchCheckpoints(torch.nn.Linear(2, 3))
    >>> checkpoints.describe(path)
    CheckpointInfo(epoch=4, step=None, metrics={})
    >>> ask, output = checkpoints.open(path)
    >>> ask(np.zeros((5, 2))).shape, output
    ((5, 3), 'logits')
    >>> checkpoints.restore()
    """

    def __init__(
        self,
        model: Any,
        *,
        predict: Predict | None = None,
        output: Output | None = None,
        allow_pickle: bool = False,
    ) -> None:
        self._model = model
        self._predict = predict
        self._output: Output = output or "logits"
        self._allow_pickle = allow_pickle
        self._module: Any = None
        self._before: dict[str, Any] | None = None

    def describe(self, path: str) -> CheckpointInfo:
        """Return the epoch, the step and the metrics that a file holds.

        Raises
        ------
        CheckpointError
            If the file cannot be read.
        """
        content = self._read(path, weights=False)
        if not isinstance(content, Mapping):
            return CheckpointInfo()
        if "pytorch-lightning_version" in content:
            return CheckpointInfo(_completed_epochs(content), _whole(content.get("global_step")))
        if not any(isinstance(content.get(name), Mapping) for name in _STATES):
            return CheckpointInfo()
        epoch = _first_whole(content, _EPOCHS)
        metrics = dict(_numbers(content))
        return CheckpointInfo(epoch, _first_whole(content, _STEPS), metrics)

    def open(self, path: str) -> tuple[TorchPredictor, Output]:
        """Load a file into the model.

        Returns
        -------
        ask : TorchPredictor
            Valid until the next file is opened.
        output : str

        Raises
        ------
        CheckpointError
            If the file cannot be read, or does not fit the model.
        """
        content = self._read(path)
        state = _state_of(content, path)
        if self._model is None:
            if not isinstance(content, torch.nn.Module):
                raise CheckpointError(
                    f"{path} holds weights and no model: give model= the network they belong to"
                )
            self._module = content
        else:
            if self._module is None:
                self._module = self._built(path)
            try:
                self._module.load_state_dict(_matched(state, self._module.state_dict()))
            except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise CheckpointError(
                    f"{path} does not fit the model {type(self._module).__name__}: {_brief(error)}"
                ) from error
        return TorchPredictor(self._module, predict=self._predict, output=self._output), (
            self._output
        )

    def restore(self) -> None:
        """Restore the weights that the given model had before the first :meth:`open`."""
        if self._module is not None and self._before is not None:
            self._module.load_state_dict(self._before)
        self._module = self._before = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_module": None, "_before": None}

    def _built(self, path: str) -> Any:
        model = self._model
        if isinstance(model, torch.nn.Module):
            module = bare_module(model)
            if any(map(torch.nn.parameter.is_lazy, module.parameters())):
                raise TypeError(
                    "model= has lazy parameters, which could not be put back as they are: give a "
                    "callable that makes the model, model=lambda: ..."
                )
            with torch.no_grad():
                self._before = copy.deepcopy(module.state_dict())
            return module
        with torch.random.fork_rng(devices=[]):
            if hasattr(model, "load_from_checkpoint") and path.endswith(".ckpt"):
                built = _from_lightning(model, path, self._allow_pickle)
            else:
                built = _made(model)
        if not isinstance(built, torch.nn.Module):
            raise TypeError(
                f"model={_name(model)} returned {type(built).__name__}: expected a torch.nn.Module "
                f"for {path}"
            )
        return bare_module(built)

    def _read(self, path: str, *, weights: bool = True) -> Any:
        if path.endswith(".safetensors"):
            return _read_safetensors(path, weights)
        return _read_torch(path, self._allow_pickle)


def _read_torch(path: str, allow_pickle: bool) -> Any:
    if _is_torchscript(path):
        # torch.load would execute its code even with weights_only=True.
        raise CheckpointError(
            f"{path} is a TorchScript archive, which holds code: if you trust it, "
            "load=torch.jit.load reads it"
        )
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": not allow_pickle}
    try:
        try:
            return torch.load(path, mmap=True, **options)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, **options)  # The format before torch 1.6 cannot be mapped.
    except pickle.UnpicklingError as error:
        if not allow_pickle and _is_whole_pickle(path):
            raise CheckpointError(
                f"{path} holds more than weights, which is not loaded because that can run code "
                f"({_refused(error)}): if you trust the file, allow_pickle=True loads it "
                "(--allow-pickle on the command line)"
            ) from error
        raise _unreadable(path, error) from error
    except Exception as error:  # damaged files fail in many ways
        raise _unreadable(path, error) from error


def _is_torchscript(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _read_safetensors(path: str, weights: bool) -> dict[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(f"{path} needs safetensors: pip install safetensors") from error
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys() if weights else ()
            state = {name: file.get_tensor(name) for name in names}
            return {**(file.metadata() or {}), "state_dict": state}
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read, it is damaged or no checkpoint: {_brief(error)}"
    )


def _is_whole_pickle(path: str) -> bool:
    """Return whether what torch refused is a pickle and not a damaged file; executes nothing."""
    if zipfile.is_zipfile(path):
        return True  # Torch checks the archive before what is pickled in it.
    try:
        with open(path, "rb") as file:
            for _ in pickletools.genops(file):
                pass
    except Exception:  # a damaged file can fail in any way
        return False
    return True


def _refused(error: Exception) -> str:
    found = _REFUSED.search(str(error))
    return "objects of other classes" if found is None else _brief(found[0])


def _state_of(content: Any, path: str) -> Mapping[str, Any]:
    if isinstance(content, Mapping):
        held = (content.get(name) for name in _STATES)
        inside = next((one for one in held if isinstance(one, (Mapping, torch.nn.Module))), None)
        content = content if inside is None else inside
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if named and content:
        return cast("Mapping[str, Any]", content)
    raise CheckpointError(
        f"{path} holds {type(content).__name__}: expected a state_dict, or a dict with one under "
        f"{', '.join(map(repr, _STATES))}; load= reads anything else"
    )


def _matched(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rename a state's entries to the model's names, if they differ by a wrapper's prefix only.

    Such are those of compiled and data-parallel models, and of a network inside a
    LightningModule. Any other state is returned as it is, so that loading it raises.
    """
    if state.keys() == wanted.keys():
        return state
    names = {_uncompiled(name): name for name in wanted}
    plain = {_uncompiled(name): value for name, value in state.items()}
    some = next(iter(names), "")
    prefixes = {""} | {
        name[: -len(some)] for name in plain if name.endswith("." + some)
    }  # fmt: skip
    fitting = [
        {names[name[len(prefix) :]]: plain[name] for name in plain if name.startswith(prefix)}
        for prefix in prefixes
        if {name[len(prefix) :] for name in plain if name.startswith(prefix)} == names.keys()
    ]
    return fitting[0] if len(fitting) == 1 else state


def _uncompiled(name: str) -> str:
    return name.replace("_orig_mod.", "")


def _from_lightning(model: Any, path: str, allow_pickle: bool) -> Any:
    options: dict[str, Any] = {"map_location": "cpu"}
    if "weights_only" in inspect.signature(model.load_from_checkpoint).parameters:
        options["weights_only"] = not allow_pickle
    if not allow_pickle:
        # Before 2.6.2, Lightning imports and calls whatever a checkpoint names here. An argument
        # takes precedence over what the checkpoint holds, and None stands for the class itself.
        options["_instantiator"] = None
    try:
        return model.load_from_checkpoint(path, **options)
    except Exception as error:  # the class's own code runs, with arguments from a file
        hint = "" if allow_pickle else (
            ". If LightningCLI wrote it, its arguments have to be built by code that it names: if "
            "you trust the file, allow_pickle=True does so, or give model= an instance"
        )  # fmt: skip
        raise CheckpointError(
            f"{path} does not fit the model {_name(model)}: {_brief(error)}{hint}"
        ) from error


def _made(model: Callable[[], Any]) -> Any:
    try:
        return model()
    except Exception as error:
        raise TypeError(
            f"model={_name(model)} cannot be called without arguments: "
            f"{type(error).__name__}: {error}"
        ) from error


def _completed_epochs(content: Mapping[str, Any]) -> int | None:
    # "epoch" is the current one; the loop's progress says whether it is completed.
    try:
        done = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    except (KeyError, TypeError):
        done = content.get("epoch")
    return _whole(done)


def _first_whole(content: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (_whole(content.get(name)) for name in names)
    return next((number for number in found if number is not None), None)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_floating_point():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def _numbers(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in content.items():
        if name in (*_EPOCHS, *_STEPS) or isinstance(value, (bool, str)):
            continue
        single = isinstance(value, torch.Tensor) and value.numel() == 1
        if single or isinstance(value, (int, float)):
            yield str(name), float(value.detach() if single else value)


def _name(model: Any) -> str:
    return Path(getattr(model, "__qualname__", type(model).__name__)).name


def _brief(error: Exception | str, limit: int = 400) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[:limit] + "..."
