"""Labelled points that are stored with a recording, and the output columns of their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.arrays import to_numpy
from trainviz._common.output_kind import OutputKind
from trainviz.domain.domain import Domain
from trainviz.domain.inputs import column_names

__all__ = ["LabelledData"]


@dataclass(frozen=True)
class LabelledData:
    """Points with their true labels, validated against a domain.

    Attributes
    ----------
    X : ndarray, shape (n, *input_shape)
        The inputs in the user's units; flat rows (n, n_features) if the model
        takes several arrays or ``preprocess`` is a transformer.
    y : ndarray, shape (n,)
        Integers or strings; floats for ``"values"``, shape (n, L) for ``"multilabel"``.
        Empty strings if the points have no labels.
    points : ndarray of float64, shape (n, 2)
        Where the inputs lie in the domain's plane.
    distances : ndarray of float64, shape (n,), or None
        How far the inputs are from the plane; None if that is not known.
    groups : ndarray of int, shape (n,), or None
        Of each point the index of its group in ``group_names``; None without names.
    group_names : tuple of str
        The names of the groups, such as "train" and "test"; empty for ``(X, y)``.

    Examples
    --------
    >>> domain = Domain((0, 1), (0, 1), points_per_axis=2)
    >>> data = LabelledData.of(([[0, 0], [1, 1]], ["cat", "dog"]), domain)
    >>> data.class_indices(2, ["dog", "cat"], None)
    array([1, 0])
    """

    X: npt.NDArray[Any]
    y: npt.NDArray[Any]
    points: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64] | None = None
    groups: npt.NDArray[np.intp] | None = None
    group_names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, data: Any, domain: Domain, output: OutputKind = OutputKind.PROBABILITIES
    ) -> LabelledData:
        """Check ``(X, y)``, or a dict of such by group, and project it onto the domain's plane.

        Raises
        ------
        TypeError
            If the name of a group is no text.
        ValueError
            If ``data`` is no pair, the lengths differ, ``X`` is not finite or
            no input of ``domain``, or ``y`` is not what ``output`` calls for:
            labels, one-hot rows or None; an indicator matrix, shape (n, L), for
            ``"multilabel"``; numbers for ``"values"``. If there are no groups,
            one is empty, or they differ in their columns or kind of labels.

        Examples
        --------
        >>> domain = Domain((0, 1), (0, 1), points_per_axis=2)
        >>> groups = {"train": ([[0, 0], [1, 1]], [0, 1]), "test": ([[0, 1]], [1])}
        >>> data = LabelledData.of(groups, domain)
        >>> data.group_names, data.groups
        (('train', 'test'), array([0, 0, 1]))
        """
        if isinstance(data, Mapping):
            found = cls._of_groups(data, domain, output)
        else:
            found = cls._of_pair(data, domain, output, "data=(X, y)")
        # All groups at once, so that none lies on another.
        return replace(found, points=domain.scattered(found.points))

    @classmethod
    def _of_groups(
        cls, data: Mapping[Any, Any], domain: Domain, output: OutputKind
    ) -> LabelledData:
        if not data:
            raise ValueError(
                'data={}: expected at least one group, e.g. {"train": (X, y), "test": (X2, y2)}'
            )
        for name in data:
            if not isinstance(name, str):
                raise TypeError(
                    f"data= has a group with the name {name!r} ({type(name).__name__}); expected "
                    'a text, e.g. {"train": (X, y), "test": (X2, y2)}'
                )
            if not name.strip():
                raise ValueError(
                    f"data= has a group with the name {name!r}; expected a name that a legend can "
                    'show, e.g. "train"'
                )
        pairs = {name: _pair(part, f"data[{name!r}]=") for name, part in data.items()}
        _require_same_columns(pairs, domain)
        parts = [
            cls._of_pair(pair, domain, output, f"data[{name!r}]=(X, y)")
            for name, pair in pairs.items()
        ]
        for name, part in zip(data, parts, strict=True):
            if not len(part.points):
                raise ValueError(f"data[{name!r}] has no points; leave the group out")
        _require_same_labels(pairs, parts)
        known = [part.distances for part in parts if part.distances is not None]
        inputs = [part.X for part in parts]
        if len({X.shape[1:] for X in inputs}) > 1:
            inputs = [X.reshape(len(X), -1) for X in inputs]
        return cls(
            np.concatenate(inputs),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.points for part in parts]),
            np.concatenate(known) if len(known) == len(parts) else None,
            np.repeat(np.arange(len(parts)), [len(part.points) for part in parts]),
            tuple(data),
        )

    @classmethod
    def _of_pair(cls, data: Any, domain: Domain, output: OutputKind, where: str) -> LabelledData:
        X, y = _pair(data, where.removesuffix("(X, y)"))
        is_unlabelled = y is None and output.has_classes
        if y is None and not is_unlabelled:
            raise ValueError(
                f"{where.replace('y)', 'None)')}: points of a map of {output} have a y; leave "
                "data= out"
            )
        labels = np.empty(0) if is_unlabelled else _TARGETS[output](to_numpy(y), where)
        several = isinstance(X, (Mapping, tuple)) or column_names(X) is not None or domain.is_table
        try:
            inputs = domain.flatten(X) if several else to_numpy(X)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if is_unlabelled:
            labels = np.full(len(inputs), "")
        if len(inputs) != len(labels):
            raise ValueError(f"{where}: X has {len(inputs)} rows and y {len(labels)} labels")
        try:
            # Of a table, values that lie along no axis may be missing.
            finite = domain.is_table or np.isfinite(np.asarray(inputs, dtype=np.float64)).all()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: X must hold numbers: {error}") from None
        if not finite:
            raise ValueError(f"{where}: X holds NaN or infinities; drop those rows")
        try:
            points, distances = domain.project(inputs), domain.distance(inputs)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if domain.preprocess is None and not several and isinstance(domain.input_shape, tuple):
            sides = domain.input_shape
            if isinstance(sides[0], int):
                inputs = inputs.reshape(len(inputs), *sides)
        return cls(inputs, labels, points, distances)

    @property
    def is_labelled(self) -> bool:
        """Whether the points have labels, which a clustering lacks."""
        return self.y.dtype.kind != "U" or bool((self.y != "").any()) or not len(self.y)

    def matches(self, other: LabelledData | None) -> bool:
        """Return whether both have the same points with the same labels."""
        return (
            other is not None
            and np.array_equal(self.X, other.X, equal_nan=self.X.dtype.kind == "f")
            and np.array_equal(self.y.astype(str), other.y.astype(str))
            and self.group_names == other.group_names
            and _same(self.groups, other.groups)
        )

    def counted(self) -> str:
        """Say how many points there are, and how many in each group.

        Examples
        --------
        >>> two = LabelledData(np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2)))
        >>> two.counted()
        '2 points'
        """
        if self.groups is None:
            return f"{len(self.points):,} points"
        counts = np.bincount(self.groups, minlength=len(self.group_names))
        each = [f"{n:,} {name}" for n, name in zip(counts, self.group_names, strict=True)]
        return f"{len(self.points):,} points ({', '.join(each)})"

    def in_groups(self) -> list[tuple[str, npt.NDArray[np.intp]]]:
        """Return the name of each group with the indices of its points; "" for ``(X, y)``."""
        if self.groups is None:
            return [("", np.arange(len(self.points)))]
        return [
            (name, np.flatnonzero(self.groups == index))
            for index, name in enumerate(self.group_names)
        ]

    @property
    def groups_of_points(self) -> list[str] | None:
        """The name of each point's group; None for ``(X, y)``."""
        if self.groups is None:
            return None
        return [self.group_names[index] for index in self.groups]

    def accuracies(
        self, labels: npt.NDArray[np.intp], guesses: npt.NDArray[np.intp]
    ) -> dict[str, float]:
        """Return the share of right predictions in each named group, as a metric of its own.

        Parameters
        ----------
        labels : ndarray of int, shape (n,)
            As :meth:`class_indices` returns them.
        guesses : ndarray of int, shape (n,)
            The predicted columns.

        Returns
        -------
        dict of str to float
            Under names such as ``"train accuracy"``; empty for ``(X, y)``.
        """
        return {
            f"{name} accuracy": float((labels[rows] == guesses[rows]).mean())
            for name, rows in self.in_groups()
            if name
        }

    def require_labels(self, n_labels: int) -> None:
        """Raise a ValueError unless the indicator matrix has one column per label."""
        if self.y.shape[1] != n_labels:
            raise ValueError(
                f"data=(X, y): y has {self.y.shape[1]} columns, but the model returns {n_labels} "
                "labels; expected one column a label"
            )

    def class_indices(
        self,
        n_classes: int,
        class_names: Sequence[str] | None,
        classes: Sequence[Any] | None,
    ) -> npt.NDArray[np.intp]:
        """Return the index of the model's output column for the label of each point.

        The columns are, in this order of preference: the labels listed in
        ``classes``; the ``class_names``, where labels are names; 0 to
        ``n_classes - 1``, where all labels are such integers. Any other order,
        such as the sorted one, would be a guess.

        Parameters
        ----------
        n_classes : int
        class_names : sequence of str, optional
        classes : sequence, optional
            The label of each output column.

        Returns
        -------
        ndarray of int, shape (n,)

        Raises
        ------
        ValueError
            If the labels cannot be matched with the model's columns.
        """
        known = np.unique(self.y)
        if classes is None and _all_in(known, class_names):
            classes = class_names
        if classes is None and counts_from_zero(known, n_classes):
            return self.y.astype(np.intp)
        if classes is None:
            strange = [label for label in known if _plain(label) not in range(n_classes)]
            listed = _listed(known if self.groups is None else strange)
            raise ValueError(
                f"{self._holders(strange)}: y holds the labels {listed}, and the model has "
                f"{n_classes} "
                "output columns; which label each column stands for is not known: give "
                f"classes=[...], {n_classes} labels in the order of the columns, or a y of column "
                f"numbers, 0 to {n_classes - 1}"
            )
        column = {_plain(label): index for index, label in enumerate(classes)}
        unknown = [label for label in known if _plain(label) not in column]
        if unknown or len(column) != n_classes:
            found = f"; {self._holders(unknown)} holds {_listed(unknown)}" if unknown else ""
            raise ValueError(
                f"classes={list(classes)!r} for a model of {n_classes} classes: expected one "
                f"distinct label per output column, among them every label of y ({_listed(known)})"
                f"{found if self.groups is not None else ''}"
            )
        return np.array([column[_plain(label)] for label in self.y], dtype=np.intp)

    def _holders(self, labels: Sequence[Any]) -> str:
        """Name the argument, and of groups those that hold one of some labels."""
        holders = [
            f"data[{name!r}]"
            for name, rows in self.in_groups()
            if name and (not len(labels) or np.isin(self.y[rows], labels).any())
        ]
        return " and ".join(holders) or "data=(X, y)"

    def sorted_classes(self, n_classes: int, class_names: Sequence[str] | None) -> list[Any] | None:
        """Return the sorted labels, if they are needed to tell the columns, and one a column."""
        if not self.is_labelled:
            return None
        known = np.unique(self.y)
        told = _all_in(known, class_names) or counts_from_zero(known, n_classes)
        return None if told or len(known) != n_classes else [_plain(label) for label in known]

    def better_order(
        self, labels: npt.NDArray[np.intp], guesses: npt.NDArray[np.intp], n_classes: int
    ) -> list[int] | None:
        """Return the order of the columns that predictions suggest, if it is far better.

        Far better is a mean recall of the classes of at least 0.7, and of 0.3 more
        than in the order that was used.

        Parameters
        ----------
        labels : ndarray of int, shape (n,)
            As :meth:`class_indices` returns them.
        guesses : ndarray of int, shape (n,)
            The predicted columns.
        n_classes : int

        Returns
        -------
        list of int or None
            For each class the column that is predicted for most of its points.

        Examples
        --------
        >>> data = LabelledData(np.zeros((10, 2)), np.arange(10) % 2, np.zeros((10, 2)))
        >>> data.better_order(data.y, 1 - data.y, 2)
        [1, 0]
        """
        counts = np.zeros((n_classes, n_classes))
        np.add.at(counts, (labels, guesses), 1)
        present = np.flatnonzero(counts.sum(axis=1))
        if len(present) < 2 or len(labels) < _FEW * len(present):
            return None
        recall = counts[present] / counts[present].sum(axis=1, keepdims=True)
        best, own = recall.max(axis=1), recall[np.arange(len(present)), present]
        columns = recall.argmax(axis=1)
        if len(set(columns)) < len(columns) or best.mean() < max(0.7, own.mean() + 0.3):
            return None
        rest = iter(sorted(set(range(n_classes)) - set(columns.tolist())))
        found = dict(zip(present.tolist(), columns.tolist(), strict=True))
        return [found[index] if index in found else next(rest) for index in range(n_classes)]


_FEW = 5
"""With fewer points a class, another order fits better by chance."""


def _same(one: npt.NDArray[Any] | None, other: npt.NDArray[Any] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _pair(data: Any, where: str) -> tuple[Any, Any]:
    """Return inputs and labels; ``where`` is how the argument is named in messages."""
    if isinstance(data, list) and all(isinstance(part, tuple) for part in data):
        raise ValueError(
            f"{where} is a list of {len(data)} groups; expected one pair (X, y), or groups with "
            'names: {"train": (X, y), "test": (X2, y2)}'
        )
    # A DataLoader is not iterated, because that draws from the random streams of training.
    data = getattr(data, "dataset", data)
    data = getattr(data, "tensors", data)
    try:
        X, y = data
    except (TypeError, ValueError):
        raise ValueError(
            f"{where} must be a pair (X, y): inputs and their labels, or a torch TensorDataset "
            'of these or its DataLoader, or a dict of such by group, {"train": (X, y), ...}'
        ) from None
    return X, y


def _require_same_columns(pairs: Mapping[str, tuple[Any, Any]], domain: Domain) -> None:
    """Raise if tables of groups differ in their columns, unless the domain finds its own."""
    if domain.feature_names is not None:
        return
    (first, (X, _)), *others = pairs.items()
    names = column_names(X)
    for name, (other, _) in others:
        found = column_names(other)
        if found != names:
            raise ValueError(
                f"data[{name!r}] has the columns {found}, and data[{first!r}] has {names}: "
                "expected the same columns, in one order, in every group"
            )


def _require_same_labels(
    pairs: Mapping[str, tuple[Any, Any]], parts: Sequence[LabelledData]
) -> None:
    """Raise if groups have labels of different kinds, or different numbers of columns."""
    first = next(iter(pairs))
    widths = [np.shape(y)[1:] for _, y in pairs.values()]
    for name, part, width in zip(pairs, parts, widths, strict=True):
        kinds = [_KINDS.get(each.y.dtype.kind, "numbers") for each in (part, parts[0])]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"data[{name!r}]: its labels are {kinds[0]} ({_listed(np.unique(part.y))}), and "
                f"those of data[{first!r}] are {kinds[1]} ({_listed(np.unique(parts[0].y))}): "
                "expected the same labels in every group"
            )
        if width and widths[0] and width != widths[0]:
            raise ValueError(
                f"data[{name!r}]: y has {width[0]} columns, and that of data[{first!r}] has "
                f"{widths[0][0]}: expected the same labels in every group"
            )


_KINDS = {"U": "strings"}


def counts_from_zero(known: npt.NDArray[Any], n_classes: int) -> bool:
    """Return whether sorted labels are integers from 0 to ``n_classes - 1``."""
    if known.dtype.kind not in "iu":
        return False
    return len(known) == 0 or bool(known[0] >= 0 and known[-1] < n_classes)


def _flat_labels(y: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        # One-hot rows, as Keras takes them.
        return np.asarray(y.argmax(axis=1))
    if y.ndim != 1:
        raise ValueError(f"{where}: y has the shape {y.shape}, expected (n,) or one-hot rows")
    missing = [index for index, label in enumerate(y.tolist()) if _is_missing(label)]
    if missing:
        raise ValueError(
            f"{where}: y lacks the label of {len(missing)} of {len(y)} points (the first is "
            f"row {missing[0]}); drop those rows"
        )
    if y.dtype.kind == "O":
        # Booleans and integers come as objects from tables that may have missing values.
        y = np.array(y.tolist()) if len(y) else y.astype(np.int64)
    if y.dtype.kind == "f":
        if not (y == np.round(y)).all():
            raise ValueError(f"{where}: y holds fractions; class labels are integers or strings")
        return y.astype(np.int64)
    if y.dtype.kind == "b":
        return y.astype(np.int64)
    return y if y.dtype.kind in "iuU" else y.astype(str)


def _is_missing(label: Any) -> bool:
    # NaN differs from itself; pandas.NA refuses to be compared.
    return label is None or type(label).__name__ in ("NAType", "NaTType") or label != label


def _numbers(y: npt.NDArray[Any], where: str) -> npt.NDArray[np.float64]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "fiub" or not np.isfinite(y).all():
        raise ValueError(
            f"{where}: y has the shape {y.shape} and the dtype {y.dtype}; output='values' "
            "expects one finite number a point"
        )
    return y.astype(np.float64)


def _indicators(y: npt.NDArray[Any], where: str) -> npt.NDArray[np.int64]:
    if y.ndim != 2 or y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"{where}: y has the shape {y.shape} and the dtype {y.dtype}; a multi-label model "
            "has a column of 0 and 1 for each label"
        )
    return y.astype(np.int64)


_TARGETS: dict[OutputKind, Callable[[npt.NDArray[Any], str], npt.NDArray[Any]]] = {
    OutputKind.PROBABILITIES: _flat_labels,
    OutputKind.MULTILABEL: _indicators,
    OutputKind.VALUES: _numbers,
}


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _all_in(known: npt.NDArray[Any], names: Sequence[str] | None) -> bool:
    return names is not None and {_plain(label) for label in known} <= set(names)


def _listed(labels: Sequence[Any] | npt.NDArray[Any]) -> str:
    shown = ", ".join(repr(_plain(label)) for label in labels[:6])
    return shown + (f", ... ({len(labels)} in all)" if len(labels) > 6 else "")
