"""Checkpoints of Keras 3: whole models, or weights that are loaded into one model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from trainviz.adapters.keras.recorder import Predict, keras_predictor
from trainviz.capture.replay.checkpoints import CheckpointInfo
from trainviz.errors import CheckpointError
from trainviz.evaluation.outputs import Output, PredictProba

__all__ = ["KerasCheckpoints"]


class KerasCheckpoints:
    """Load ``.keras`` and ``.weights.h5`` files.

    Parameters
    ----------
    model : keras.Model, callable or None
        A model, whose weights :meth:`restore` puts back, or a callable that returns one. With
        None, the model is loaded from each ``.keras`` file.
    sample : ndarray, shape (1, *input_shape)
        An input to call a model with that is not built yet.
    predict : callable, optional
    output : {"probabilities", "logits", "log_probabilities"}, default "probabilities"
        As for :class:`~trainviz.KerasRecorder`.
    allow_pickle : bool, default False
        Load models that contain code (``safe_mode=False`` of Keras).

    Examples
    --------
    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/a.weights.h5"
    >>> model.save_weights(path)
    >>> checkpoints = KerasCheckpoints(model, sample=np.zeros((1, 2)))
    >>> ask, output = checkpoints.open(path)
    >>> ask(np.zeros((5, 2))).shape, output
    ((5, 3), 'probabilities')
    >>> checkpoints.restore()
    """

    def __init__(
        self,
        model: Any,
        *,
        sample: npt.NDArray[Any],
        predict: Predict | None = None,
        output: Output | None = None,
        allow_pickle: bool = False,
    ) -> None:
        self._model = model
        self._sample = sample
        self._predict = predict
        self._output: Output = output or "probabilities"
        self._allow_pickle = allow_pickle
        self._filled: Any = None
        self._before: list[Any] | None = None

    def describe(self, path: str) -> CheckpointInfo:
        """Return an empty description, since Keras files do not store the epoch."""
        return CheckpointInfo()

    def open(self, path: str) -> tuple[PredictProba, Output]:
        """Load a file.

        Returns
        -------
        ask : callable
            Valid until the next file is opened.
        output : str

        Raises
        ------
        CheckpointError
            If the file cannot be read, or does not fit the model.
        """
        model = self._whole(path) if self._model is None else self._weights(path)
        return keras_predictor(model, self._predict), self._output

    def restore(self) -> None:
        """Restore the weights that the given model had before the first :meth:`open`."""
        if self._before is not None:
            for variable, value in zip(self._filled.variables, self._before, strict=True):
                variable.assign(value)
        self._filled = self._before = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_filled": None, "_before": None}

    def _whole(self, path: str) -> Any:
        if not path.endswith(".keras") and not self._allow_pickle:
            # Keras has no safe mode for whole models in HDF5.
            raise CheckpointError(
                f"{path} does not bring its model in a form that is safe to load: give model= the "
                "network that its weights belong to"
            )
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=not self._allow_pickle)
        except Exception as error:  # damaged files fail in many ways
            if "safe_mode" in str(error) or "unsafe" in str(error).lower():
                raise CheckpointError(
                    f"{path} holds code, which is not loaded: if you trust the file, "
                    "allow_pickle=True loads it (--allow-pickle on the command line); or give "
                    "model= the network, and only the weights are read"
                ) from error
            raise _unreadable(path, error) from error

    def _weights(self, path: str) -> Any:
        if self._filled is None:
            self._filled = self._made()
        try:
            self._filled.load_weights(path)
        except (OSError, EOFError) as error:
            raise _unreadable(path, error) from error
        except Exception as error:
            raise CheckpointError(
                f"{path} does not fit the model {self._filled.name!r}: {_brief(error)}"
            ) from error
        return self._filled

    def _made(self) -> Any:
        given = isinstance(self._model, keras.Model)
        model = self._model if given else self._model()
        if not isinstance(model, keras.Model):
            name = getattr(self._model, "__qualname__", type(self._model).__name__)
            raise TypeError(
                f"model={name} returned {type(model).__name__}: expected a keras.Model, to load "
                ".keras or .h5 files into"
            )
        if not model.built or not model.variables:
            keras_predictor(model, self._predict)(self._sample)
        if given:
            self._before = [
                np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables
            ]
        return model


def _unreadable(path: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read, it is damaged or no checkpoint: {_brief(error)}"
    )


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else text[:400] + "..."
