"""What ``record``, ``watch`` and recorders without a domain choose by themselves, and its code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz._common.terminal import warn
from trainviz.adapters.boosters import is_instance
from trainviz.capture.recorder import RecorderOptions
from trainviz.domain.constructors import Resolution
from trainviz.domain.domain import Domain
from trainviz.domain.tables import is_table
from trainviz.errors import CaptureWarning
from trainviz.evaluation.outputs import Output, recorded_as

__all__ = [
    "Chosen",
    "Code",
    "Target",
    "call",
    "choose",
    "choose_domain",
    "choose_for",
    "known_output",
]

Target = Literal["classes", "values", "multilabel"]


class Code(str):
    """An expression, which stands in code as it is; any other str is a value."""

    __slots__ = ()


@dataclass(frozen=True)
class Chosen:
    """What was chosen for data, each part with its code.

    Attributes
    ----------
    domain : Domain
    domain_code : Code
    data : tuple
        ``(X, y)``, perhaps thinned out.
    data_code : Code
    target : {"classes", "values", "multilabel"}, or None
        What ``y`` holds; None without ``y``.
    classes : list, or None
        The labels in the order of the columns, where ``y`` tells it.
    class_names : list of str, or None
        As the data set has them.
    """

    domain: Domain
    domain_code: Code
    data: tuple[Any, Any]
    data_code: Code
    target: Target | None = None
    classes: list[Any] | None = None
    class_names: list[str] | None = None

    def options(self, output: Output, given: RecorderOptions) -> RecorderOptions:
        """Return ``data`` and the names of the classes, as far as the user did not give them.

        Raises
        ------
        ValueError
            If ``y`` is not what a model of this ``output`` is trained on.
        """
        found: RecorderOptions = {}
        held = recorded_as(output)
        # Whole numbers can be classes and values.
        if self.target not in (None, "classes", held.value):
            raise ValueError(f"y holds {_HELD[self.target]}, but output={output!r}: "
                             f"{_MEND[self.target]}")  # fmt: skip
        if "data" not in given and (self.target is not None or held.has_classes):
            found["data"] = self.data
        if held.has_classes:
            if self.classes is not None and "classes" not in given:
                found["classes"] = self.classes
            if self.class_names is not None and "class_names" not in given:
                found["class_names"] = self.class_names
        return found


_HELD = {
    "values": "fractions, as for a regression", "multilabel": "a column of 0 and 1 for each label",
}  # fmt: skip
_MEND = {
    "values": "say output='values'",
    "multilabel": "say output='multilabel', or 'multilabel_logits' if the model has no sigmoid",
}


def choose(
    X: Any,
    y: Any = None,
    resolution: Resolution = 400,
    *,
    most: int | None = 2000,
    code: tuple[str, str] = ("X", "y"),
) -> Chosen:
    """Choose a window, the points that are drawn, and class names for data.

    Parameters
    ----------
    X : array-like, DataFrame, mapping or tuple of arrays, or data set
        A data set is a ``Bunch`` of scikit-learn, or a ``TensorDataset`` of torch or its
        ``DataLoader``, and holds ``y`` as well.
    y : array-like, optional
    resolution : int or tuple of int, default 400
    most : int, optional
        The largest number of points; of more, every k-th one. None for all.
    code : tuple of str
        What X and y are called in code.

    Raises
    ------
    TypeError, ValueError
        If the data suit no window; the message says why.

    Examples
    --------
    >>> chosen = choose([[0, 0], [1, 2]], [0, 1])
    >>> chosen.domain_code, chosen.data_code
    ('tv.Domain.around(X, margin=0.1)', '(X, y)')
    """
    X, y, code, names = _unpacked(X, y, code)
    if not is_table(X) and not _is_several(X):
        _check_array(X)
    target, classes = _target_of(y)
    every = 1 if most is None else _thinned(X, y, most)
    part = f"[::{every}]" if every > 1 else ""
    data = (X, y) if every == 1 else (X[::every], None if y is None else y[::every])
    y_code = "None" if y is None else f"{code[1]}{part}"
    domain, domain_code = choose_domain(X, y, resolution, code[0], every)
    return Chosen(
        domain, domain_code, data, Code(f"({code[0]}{part}, {y_code})"), target, classes,
        names if target == "classes" else None,
    )  # fmt: skip


def choose_for(
    recorder: str,
    data: Any,
    output: Output,
    options: RecorderOptions,
    shown: Mapping[str, Any],
    note: str = "",
) -> tuple[Domain, RecorderOptions, str]:
    """Choose for a recorder that was given ``data=`` and no domain.

    Parameters
    ----------
    recorder : str
        The name of its class.
    data : tuple of array-like, mapping of str to such, or data set
    output : str
    options : mapping
        What the user gave, without ``data``.
    shown : mapping
        Its other arguments that are not the default.
    note : str, optional
        A comment behind the code.

    Returns
    -------
    domain : Domain
    options : RecorderOptions
        With ``data`` and the names of the classes.
    code : str
        A line that makes the same recorder.
    """
    X: Any = data
    y, code, data_code = None, ("X", "y"), Code("data")
    if isinstance(data, Mapping) and data and all(map(_is_pair, data.values())):
        first = next(iter(data))
        (X, y), code = data[first], (f"data[{first!r}][0]", f"data[{first!r}][1]")
    elif _is_pair(data):
        (X, y), data_code = data, Code("(X, y)" if data[1] is not None else "(X, None)")
    else:
        code = "data", ""
    chosen = choose(X, y, most=None, code=code)
    merged: RecorderOptions = {**chosen.options(output, options), **options, "data": data}
    codes = {**shown, **merged, "data": data_code}
    line = call(f"tv.{recorder}", [chosen.domain_code], codes)
    return chosen.domain, merged, line + (f"  # {note}" if note else "")


def _is_pair(data: Any) -> bool:
    return isinstance(data, (tuple, list)) and len(data) == 2


def choose_domain(
    X: Any, y: Any = None, resolution: Resolution = 400, name: str = "X", every: int = 1
) -> tuple[Domain, Code]:
    """Return a window for data, and its code: the same for all that choose one.

    Two columns: around the data. More: the plane of the two principal directions; of a
    table, whose columns have units of their own, the slice along the two that tell the
    classes apart best.

    Examples
    --------
    >>> choose_domain([[0, 0, 1], [4, 0, 1], [2, 1, 1], [2, -1, 1]])[1]
    'tv.Domain.principal(X, margin=0.1)'
    """
    more = "" if resolution == 400 else f", resolution={resolution!r}"
    if is_table(X):
        if len(X.columns) < 2:
            raise ValueError(_too_narrow(f"the columns {list(X.columns)}"))
        if len(X.columns) > 2:
            pair = _telling_columns(X, y)
            domain = Domain.slice(X, pair, margin=0.1, resolution=resolution)
            return domain, Code(f"tv.Domain.slice({name}, {pair!r}, margin=0.1{more})")
    elif not _is_several(X):
        _check_array(X)
    if is_table(X) or (not _is_several(X) and to_numpy(X).shape[1:] == (2,)):
        domain = Domain.around(X, margin=0.1, resolution=resolution)
        return domain, Code(f"tv.Domain.around({name}, margin=0.1{more})")
    rows, part = (X, "") if every == 1 else (X[::every], f"[::{every}]")
    domain = Domain.principal(rows, margin=0.1, resolution=resolution)
    return domain, Code(f"tv.Domain.principal({name}{part}, margin=0.1{more})")


def known_output(model: Any, target: Target | None = None) -> Output | None:
    """Return what a torch or Keras model returns, as its last layer or its loss tells.

    None where they tell nothing, so that the default of its recorder holds.

    Examples
    --------
    >>> import torch
    >>> known_output(torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Sigmoid()))
    'probabilities'
    """
    is_keras = is_instance(model, "keras", "Model")
    if target == "values":
        return "values"
    if is_keras:
        loss: Any = getattr(model, "loss", None)
        told = loss.get_config() if hasattr(loss, "get_config") else {}
        ends: Output | None = "logits" if told.get("from_logits") else None
    else:
        last = model
        while is_instance(last, "torch", "nn.Sequential") and len(last):
            last = last[-1]
        ends = _ENDS.get(type(last).__name__) if last is not model else None
    if target == "multilabel":
        return "multilabel" if is_keras != (ends is not None) else "multilabel_logits"
    return ends


_ENDS: dict[str, Output] = {
    "Softmax": "probabilities", "Sigmoid": "probabilities", "LogSoftmax": "log_probabilities",
}  # fmt: skip


def call(name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return a call as a line of code; what has no literal is given by its own name.

    Examples
    --------
    >>> call("tv.TorchRecorder", [Code("model")], {"every": 2, "predict": len})
    'tv.TorchRecorder(model, every=2, predict=predict)'
    """
    parts = [_coded(value, "") for value in arguments]
    parts += [f"{key}={_coded(value, key)}" for key, value in options.items()]
    return f"{name}({', '.join(parts)})"


def _coded(value: Any, name: str) -> str:
    if isinstance(value, Code):
        return str(value)
    if hasattr(value, "__fspath__"):
        value = value.__fspath__()
    plain = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    return repr(plain) if _is_literal(plain) else name


def _is_literal(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_literal, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


def _unpacked(
    X: Any, y: Any, codes: tuple[str, str]
) -> tuple[Any, Any, tuple[str, str], list[str] | None]:
    """Return inputs and labels of arrays or a data set, their code, and the class names."""
    data, code = X, codes[0]
    if is_instance(data, "torch", "utils.data.DataLoader"):
        data, code = data.dataset, f"{code}.dataset"
    tensors = getattr(data, "tensors", None)
    if is_instance(data, "torch", "utils.data.Dataset") and tensors is None:
        raise TypeError(
            f"X={type(data).__name__}: expected arrays, since taking samples of a data set could "
            "disturb what trains on it: give some, e.g. X, y = next(iter(DataLoader(dataset, "
            "batch_size=1000))), and class_names=dataset.classes if it has them"
        )
    names = None
    if tensors is not None:
        if len(tensors) > 2:
            raise ValueError(f"X={type(data).__name__} of {len(tensors)} tensors: expected X and y")
        found = (*tensors, None)[:2]
        codes = f"{code}.tensors[0]", f"{code}.tensors[1]"
    elif isinstance(data, Mapping) and {"data", "target"} <= set(data):
        found, codes = (data["data"], data["target"]), (f'{code}["data"]', f'{code}["target"]')
        told = data.get("target_names")
        is_column = np.ndim(found[1]) == 1 and to_numpy(found[1]).dtype.kind in "iu"
        names = [str(name) for name in told] if told is not None and is_column else None
    else:
        return X, y, codes, None
    if y is not None:
        raise TypeError(f"y= is given twice: X={type(X).__name__} is a data set, which holds y")
    return *found, codes, names


def _is_several(X: Any) -> bool:
    """Return whether data are several arrays, of a model of several inputs."""
    return isinstance(X, Mapping) or (
        isinstance(X, tuple) and all(getattr(part, "ndim", 0) >= 2 for part in X)
    )


def _check_array(X: Any) -> None:
    if hasattr(X, "toarray"):
        raise TypeError(f"X={type(X).__name__} is sparse: give X.toarray()")
    array = to_numpy(X)
    if array.dtype.kind in "USO":
        raise TypeError(
            f"X holds {array.dtype} values, such as texts, of which no plane is made: expected "
            "numbers or a DataFrame. For texts make a domain of their embeddings, "
            "trainviz.Domain.principal(embeddings), with a model from embeddings to classes"
        )
    if array.ndim < 2 or math.prod(array.shape[1:]) < 2:
        raise ValueError(_too_narrow(f"the shape {array.shape}"))


def _too_narrow(what: str) -> str:
    return f"X has {what}: a window needs two columns or more, X of the shape (n, D) or (n, ...)"


def _target_of(y: Any) -> tuple[Target | None, list[Any] | None]:
    """Return what ``y`` holds, and the labels in order if its type tells their order."""
    if y is None:
        return None, None
    # Of pandas: models are trained on their codes.
    categories = getattr(getattr(y, "dtype", None), "categories", None)
    values = to_numpy(y)
    if values.ndim == 2 and values.shape[1] > 1:
        is_01 = values.dtype.kind in "fiub" and np.isin(values, (0, 1)).all()
        return ("multilabel" if is_01 and not (values.sum(axis=1) == 1).all() else "classes"), None
    if values.dtype.kind == "f":
        known = values[np.isfinite(values)]
        if (known != np.rint(known)).any():
            return "values", None
    if len(values) > 1 and len(_labels(values)) == 1:
        warn(
            f"y holds one class only, {next(iter(_labels(values)))!r}: a classifier that is "
            "trained on it has nothing to tell apart",
            CaptureWarning,
            stacklevel=4,
        )
    return "classes", None if categories is None else list(categories)


def _labels(values: npt.NDArray[Any]) -> set[Any]:
    return set(values.ravel().tolist())


def _thinned(X: Any, y: Any, most: int) -> int:
    """Return k, so that every k-th point has each label and there are few enough."""
    if _is_several(X) or len(X) <= most:
        return 1
    first = -(-len(X) // most)
    if y is None or np.ndim(to_numpy(y)) > 1:
        return first
    values = to_numpy(y)
    # Labels that take turns would be missed by a multiple of their number.
    steps = range(first, first + 10)
    return next((k for k in steps if _labels(values[::k]) == _labels(values)), first)


def _telling_columns(X: Any, y: Any) -> tuple[str, str]:
    """Return the two columns whose means differ most between classes, or the first two.

    Columns without numbers come last.
    """
    names = list(X.columns)
    if len(set(names)) < len(names):
        raise ValueError(f"X has columns of the same name, {names}: rename or drop some")
    labels = None if y is None or np.ndim(to_numpy(y)) > 1 else to_numpy(y).astype(str)
    scores = {}
    for name in names:
        column = to_numpy(X[name])
        if column.dtype.kind not in "fiu":
            scores[name] = -1.0
        elif labels is None or len(labels) != len(column) or len(set(labels)) > _CLASSES:
            scores[name] = 0.0
        else:
            scores[name] = _between_classes(column.astype(float), labels)
    best = sorted(names, key=lambda name: -scores[name])[:2]
    first, second = sorted(best, key=names.index)
    return first, second


_CLASSES = 50


def _between_classes(column: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Return the share of a column's variance that lies between the classes."""
    known = np.isfinite(column)
    column, labels = column[known], labels[known]
    total = column.var() if len(column) else 0.0
    if not total:
        return -0.5
    within = sum(column[labels == label].var() * (labels == label).mean() for label in set(labels))
    return float(1 - within / total)
