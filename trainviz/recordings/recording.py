"""A recording: the ordered snapshots of one training run."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from trainviz._common.output_kind import OutputKind
from trainviz._common.providers import install_hint, provided
from trainviz.domain.domain import Domain
from trainviz.domain.labelled_data import LabelledData
from trainviz.errors import RecordingError
from trainviz.recordings.history import History, history_of
from trainviz.recordings.snapshot import Snapshot, quality_of
from trainviz.recordings.stores import JoinedStore, Store, ViewStore

if TYPE_CHECKING:
    import xarray

    from trainviz.recordings.zarr_store.store import Precision

__all__ = ["Recording"]


class Recording(Sequence[Snapshot]):
    """The ordered snapshots of one training run, with their domain, data and class names.

    A recording is made by a recorder and only read afterwards. It is a
    sequence: ``len(recording)``, ``recording[0]``, ``recording[-1]``,
    iteration, and slices, which are recordings themselves and copy nothing.

    Attributes
    ----------
    domain : Domain
    data : LabelledData or None
        The points that are stored with the recording.
    output : {"probabilities", "multilabel", "values"}, default "probabilities"
        What the snapshots hold: probabilities of classes that exclude one
        another, of independent labels, or the value of a regression model.
    unit : str, default "epoch"
        What :attr:`epochs` counts: epochs, the stages of a boosted model, or nothing
        (an empty string) for a model that was already fitted.
    class_names : list of str
        One per class; empty as long as nothing is recorded and no names were given.

    Examples
    --------
    >>> import trainviz as tv
    >>> recorder = tv.Recorder(tv.Domain((-1, 1), (-1, 1), points_per_axis=5))
    >>> for epoch in range(3):
    ...     _ = recorder.capture(lambda X: 1 / (1 + np.exp(-epoch * X[:, 0])), epoch=epoch)
    >>> recorder.recording
    Recording(3 snapshots, epochs 0 to 2, 2 classes, grid 5x5)
    >>> recorder.recording[::2].epochs
    array([0, 2])
    """

    def __init__(
        self,
        domain: Domain,
        store: Store,
        *,
        data: LabelledData | None = None,
        class_names: Sequence[str] | None = None,
        classes: Sequence[Any] | None = None,
        output: str = "probabilities",
        unit: str = "epoch",
    ) -> None:
        self.domain = domain
        self.output = OutputKind(output)
        self.unit = unit
        self.data = data
        self._store = store
        self._class_names = list(class_names) if class_names is not None else None
        self._classes = list(classes) if classes is not None else None

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, index: int) -> Snapshot: ...
    @overload
    def __getitem__(self, index: slice) -> Recording: ...
    def __getitem__(self, index: int | slice) -> Snapshot | Recording:
        if isinstance(index, slice):
            picked = range(len(self))[index]
            return self._like(ViewStore(self._store, picked))
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"snapshot {position} of a recording with {len(self)} snapshots")
        return self._store.read(position % len(self))

    def __iter__(self) -> Iterator[Snapshot]:
        for index in range(len(self)):
            yield self._store.read(index)

    @property
    def epochs(self) -> npt.NDArray[np.int64]:
        """The epoch of every snapshot: ndarray of int64, shape (n,)."""
        return np.array([self._store.epoch(i) for i in range(len(self))], dtype=np.int64)

    @property
    def steps(self) -> npt.NDArray[np.float64]:
        """The step of every snapshot, NaN where unknown: ndarray of float64, shape (n,)."""
        steps = [self._store.step(i) for i in range(len(self))]
        return np.array([np.nan if step is None else step for step in steps], dtype=np.float64)

    @property
    def ends_with_other_weights(self) -> bool:
        """Whether the last snapshot shows weights that were put in place once training was over.

        Averaged ones, or the best ones restored. The last one's ``weights_epoch`` tells
        when these weights were trained, if that is known. The snapshot before it has the same
        epoch and step, and shows the weights as they were trained last, unless these were
        gone when training was over.
        """
        last = len(self) - 1
        if last >= 0 and self._store.weights_epoch(last) is not None:
            return True
        if last < 1 or self._store.epoch(last) != self._store.epoch(last - 1):
            return False
        return self._store.step(last) == self._store.step(last - 1)

    @property
    def metrics(self) -> dict[str, npt.NDArray[np.float64]]:
        """Every metric's value at every snapshot, NaN where it was not given."""
        rows = [self._store.metrics(i) for i in range(len(self))]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}

    @property
    def history(self) -> History:
        """The metrics at every epoch that was reported, captured or not.

        Columns of one length: ``history.epochs``, ``history.steps`` and, for each
        metric, ``history.metrics[name]``. It holds the metrics of the snapshots, and
        what was logged between them. Metrics of one epoch are one row, or of one step
        where steps are reported.

        Returns
        -------
        History

        Raises
        ------
        RecordingError
            If a file of what was logged is damaged.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=2), every=2)
        >>> for epoch in range(4):
        ...     _ = recorder.capture(lambda X: X[:, 0], epoch=epoch, metrics={"loss": 1 / 2**epoch})
        >>> recorder.recording.metrics["loss"]
        array([1.  , 0.25])
        >>> recorder.recording.history.metrics["loss"]
        array([1.   , 0.5  , 0.25 , 0.125])
        """
        return history_of(self._store)

    @property
    def n_classes(self) -> int:
        """The number of classes.

        Raises
        ------
        RecordingError
            If nothing is recorded yet.
        """
        self.require_snapshots()
        n_classes = self._store.n_classes
        assert n_classes is not None
        return n_classes

    @property
    def class_names(self) -> list[str]:
        """The name of each class, ``0``, ``1``, ... where none were given."""
        if self._class_names is not None:
            return list(self._class_names)
        if self._classes is not None:
            return [str(label) for label in self._classes]
        if not len(self):
            return []
        if self.output.has_value:
            return ["value"]
        return [str(index) for index in range(self.n_classes)]

    @property
    def given_names(self) -> list[str] | None:
        """The class names that the user gave, or None."""
        return self._class_names

    @property
    def given_classes(self) -> list[Any] | None:
        """The label of each class, from the user or the model, or None."""
        return self._classes

    @property
    def data_labels(self) -> npt.NDArray[np.intp] | None:
        """The class index of each point of ``data``, ndarray of int, shape (n,).

        None without data, without labels, or without classes.
        """
        if self.data is None or not self.output.has_classes or not self.data.is_labelled:
            return None
        return self.data.class_indices(self.n_classes, self._class_names, self._classes)

    def data_predictions(self, index: int) -> npt.NDArray[np.intp] | None:
        """Return a snapshot's ``data_predictions`` without reading its map.

        Parameters
        ----------
        index : int
            0 to ``len - 1``.

        Returns
        -------
        ndarray of int, shape (n,), or None
        """
        return self._store.data_predictions(index)

    def thin(self, every: int) -> Recording:
        """Keep every ``every``-th snapshot, and the last one.

        Parameters
        ----------
        every : int

        Returns
        -------
        Recording
            A view, which copies nothing; :meth:`save` writes a smaller file.

        Raises
        ------
        ValueError, TypeError
            If ``every`` is no whole number of at least 1.
        """
        if isinstance(every, bool) or not hasattr(every, "__index__"):
            raise TypeError(f"every={every!r}: expected a whole number")
        if every < 1:
            raise ValueError(f"every={every}: expected at least 1, which keeps all")
        kept = sorted({*range(0, len(self), every), *range(len(self))[-1:]})
        return self._like(ViewStore(self._store, kept))

    @classmethod
    def concat(cls, recordings: Iterable[Recording], *, renumber: bool = False) -> Recording:
        """Join recordings of one model: the parts of a training, one after another.

        Parameters
        ----------
        recordings : iterable of Recording
            On the same domain, with the same classes and data.
        renumber : bool, default False
            Add the last epoch and step of the recording before to those of
            each; otherwise the epochs must not decrease.

        Returns
        -------
        Recording
            A view, which copies nothing.

        Raises
        ------
        RecordingError
            If the recordings do not belong together; the message says why.

        Examples
        --------
        >>> import trainviz as tv
        >>> domain = tv.Domain((0, 1), (0, 1), points_per_axis=2)
        >>> parts = [tv.Recorder(domain) for _ in range(2)]
        >>> for part in parts:
        ...     for epoch in (1, 2):
        ...         _ = part.capture(lambda X: X[:, 0], epoch=epoch)
        >>> tv.Recording.concat([part.recording for part in parts], renumber=True).epochs
        array([1, 2, 3, 4])
        """
        from trainviz.recordings.compatibility import check_matching

        parts = [part for part in recordings if len(part)]
        if not parts:
            raise RecordingError("concat() needs at least one recording that is not empty")
        names = [f"recordings[{number}]" for number in range(len(parts))]
        check_matching(parts, names)
        for part, name in zip(parts, names, strict=True):
            data = parts[0].data
            if part.data is not data and (data is None or not data.matches(part.data)):
                raise RecordingError(f"{name} has other data than the first one")
        return parts[0]._like(JoinedStore([part._store for part in parts], renumber=renumber))

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        precision: Precision = "float16",
    ) -> None:
        """Write the recording to disk atomically: a reader sees all of it or nothing.

        Parameters
        ----------
        path : str or PathLike
            A folder (``"a.zarr"``), a single file (``"a.zarr.zip"``), or an
            address that fsspec knows (where writing is not atomic).
        overwrite : bool, default False
            Replace a recording that is there; it may be this one.
        precision : {"float16", "float32"}, default "float16"
            In which maps are stored.

        Raises
        ------
        RecordingError
            If the path is taken.
        ImportError
            If Zarr's codecs are not installed.
        """
        from trainviz.recordings.zarr_store.description import Description
        from trainviz.recordings.zarr_store.saving import save_recording

        found = Description(
            self.domain, self.data, self._class_names, self._classes, output=self.output
        )
        save_recording(self._store, found, path, overwrite=overwrite, precision=precision)

    def save_page(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Write an interactive page: one HTML file that works offline.

        Parameters
        ----------
        path : path-like
            Ends in ``.html``.
        **options
            ``title``, ``subtitle``, ``mode``, ``interpolation``, ``palette``,
            ``cmap``, ``dark`` (default: as the reader's system prefers),
            ``shade``, ``xlabel``, ``ylabel``, ``aspect``, ``points``,
            ``max_points``, ``errors``, ``highlight``, ``metrics`` and ``annotate`` as for
            :func:`trainviz.animate`; ``seconds`` that it
            plays; ``limit``, at most so many snapshots, evenly spread, so that
            the file stays small; ``ask``, epochs at which the page stops and
            asks the reader what will come.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If the suffix is another, or an option is invalid.

        Notes
        -----
        The page of a recording without a snapshot says so.
        """
        page: Path = provided("page")(self, path, **options)
        return page

    def widget(self, **options: Any) -> Any:
        """Return the player as a widget for Jupyter, VS Code, Colab and marimo.

        That of a recorder, :meth:`Recorder.widget`, grows while the model trains.

        Parameters
        ----------
        **options
            Those of :meth:`save_page` but for ``limit`` and ``ask``, and ``saved``:
            of how many snapshots a saved notebook keeps a copy, which is
            shown where no kernel runs. By default those that fit into 260 kB;
            with 0, a picture.

        Returns
        -------
        anywidget.AnyWidget

        Raises
        ------
        ImportError
            If anywidget is not installed.
        ValueError, TypeError
            If an option is invalid.
        """
        return provided("widget")(self, **options)

    def to_xarray(self) -> xarray.Dataset:
        """Return the recording with named dimensions and coordinates.

        ``xarray.open_dataset(path, engine="trainviz")`` opens one on disk in the
        same way.

        Returns
        -------
        xarray.Dataset
            ``probabilities`` (snapshot, class, y, x) is read snapshot by
            snapshot when it is used; every metric is a variable, and ``group`` a
            coordinate of the data's points, if they have groups. ``history_loss``
            (moment) is a metric at every epoch or step at which it was logged, captured
            or not; ``x_category`` and ``y_category`` name the categories of an axis. With
            ``.chunk({"snapshot": 1})`` Dask reads them in parallel.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        try:
            from trainviz.recordings.xarray_backend import as_dataset
        except ImportError as error:
            raise ImportError(install_hint("xarray", "to_xarray()")) from error
        known = self.data if self.output.has_classes else None
        points = None if known is None else len(known.y)
        groups = None if known is None else known.groups_of_points
        return as_dataset(self._store, self.domain, self.class_names, points, groups)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the whole maps as plain arrays, which Zarr and xarray read without trainviz.

        The variables of :meth:`to_xarray`, whose maps have the shape (snapshot, class,
        y, x). They take some twenty times the space of what :meth:`save` writes, and
        :func:`trainviz.open_recording` does not open them.

        Parameters
        ----------
        path : str or PathLike
            Not there yet: a folder (``"dense.zarr"``), a Zarr v3 group in chunks of one
            snapshot; ``"maps.npz"``, for :func:`numpy.load`; or ``"maps.nc"``, netCDF,
            the maps of which are all in memory while they are written.

        Raises
        ------
        RecordingError
            If the path is taken, or is an address or an archive.
        ImportError
            If xarray is not installed, or what writes the format: Zarr, or SciPy or
            netCDF4.

        Examples
        --------
        >>> import tempfile
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
        >>> _ = recorder.capture(lambda X: X[:, 0], epoch=3, metrics={"loss": 0.5})
        >>> path = tempfile.mkdtemp() + "/maps.npz"
        >>> recorder.recording.export(path)
        >>> arrays = np.load(path)
        >>> arrays["probabilities"].shape, arrays["epoch"], arrays["loss"]
        ((1, 2, 5, 5), array([3]), array([0.5]))
        """
        from trainviz.recordings.zarr_store.saving import export_dataset

        export_dataset(self.to_xarray(), path)

    def _like(self, store: Store) -> Recording:
        return Recording(
            self.domain, store, data=self.data,
            class_names=self._class_names, classes=self._classes, output=self.output,
            unit=self.unit,
        )  # fmt: skip

    def learn_classes(self, classes: Sequence[Any]) -> None:
        """Set the label of each class; the recorder calls this once the model knows them."""
        self._classes = list(classes)

    def at(self, epoch: int) -> Snapshot:
        """Return the snapshot of an epoch (the last one, if steps were captured within it).

        Parameters
        ----------
        epoch : int
            Completed epochs; -1 is the last epoch recorded.

        Returns
        -------
        Snapshot

        Raises
        ------
        RecordingError
            If the epoch was not captured; the message names its neighbours.
        """
        return self[self.index_at(epoch)]

    def index_at(self, epoch: int) -> int:
        """Return the position of the snapshot that :meth:`at` returns."""
        self.require_snapshots()
        if isinstance(epoch, bool) or not isinstance(epoch, (int, float, np.number)):
            raise TypeError(f"epoch={epoch!r}: expected a captured epoch, or -1 for the last")
        if epoch == -1:
            return len(self) - 1
        epochs = self.epochs
        found = np.flatnonzero(epochs == epoch)
        if len(found):
            return int(found[-1])
        before, after = epochs[epochs < epoch], epochs[epochs > epoch]
        near = [str(part) for part in (*before[-1:], *after[:1])]
        raise RecordingError(
            f"epoch={epoch} was not captured; the nearest captured epochs are {' and '.join(near)}"
        )

    def summary(self) -> str:
        """Say what is recorded, and how good the maps are; reads every snapshot.

        Returns
        -------
        str
            One line, or two if the error of some maps is known.

        Examples
        --------
        >>> import trainviz as tv
        >>> recorder = tv.Recorder(tv.Domain((0, 1), (0, 1), points_per_axis=5))
        >>> _ = recorder.capture(lambda X: X[:, :1], epoch=3)
        >>> print(recorder.recording.summary())
        Recording(1 snapshot, epochs 3 to 3, 2 classes, grid 5x5)
        evaluated at every grid point
        """
        told = quality_of(self)
        return repr(self) if told is None else f"{self!r}\n{told}"

    def require_snapshots(self) -> None:
        """Raise a :class:`RecordingError` if the recording is empty."""
        if not len(self):
            raise RecordingError(
                "the recording is empty: capture at least one snapshot first (is the recorder "
                "among the callbacks, or were its start() and epoch_end() called?)"
            )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        # As the player, in a notebook with widgets; else Jupyter asks for _repr_html_.
        return provided("notebook")(self) if len(self) else None

    def _repr_png_(self) -> bytes | None:
        # For a PDF of the notebook.
        picture: bytes | None = provided("picture.last")(self)
        return picture

    def _repr_html_(self) -> str:
        card: str = provided("card")(self)
        return card

    def __repr__(self) -> str:
        if not len(self):
            return f"Recording(empty, {self.domain!r})"
        height, width = self.domain.shape
        plural = "" if len(self) == 1 else "s"
        is_value = self.output.has_value
        held = self.class_names[0] if is_value else self._counted()
        first, last = self._store.epoch(0), self._store.epoch(len(self) - 1)
        counted = f"{self.unit}s {first} to {last}, " if self.unit else ""
        return f"Recording({len(self)} snapshot{plural}, {counted}{held}, grid {height}x{width})"

    def _counted(self) -> str:
        """Return the number of classes and, where it was given, what each column stands for."""
        counted = self.output.counted(self.n_classes)
        if self._class_names is None and self._classes is None:
            return counted
        names, more = self.class_names, ", ..." if self.n_classes > _NAMED else ""
        return f"{counted} ({', '.join(names[:_NAMED])}{more})"


_NAMED = 8
"""How many class names ``repr`` lists."""
