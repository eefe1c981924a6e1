"""Constructors that place a domain's window by data, samples or a reducer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz.domain.axes import MAX_CATEGORIES
from trainviz.domain.checks import (
    as_batch,
    ask_reducer,
    check_components,
    check_embedded,
    check_features,
    check_margin,
    check_resolution,
    check_rows,
    check_subset,
    component_names,
    default_shape,
    fixed_row,
    framed,
    reducer_lacks,
)
from trainviz.domain.columns import Columns
from trainviz.domain.embeddings import Embedding, Fixed, Slice
from trainviz.domain.inputs import (
    Shape,
    column_names,
    named_columns,
    numeric_columns,
    rows_and_shape,
)
from trainviz.domain.planes import Linear, Nearest, Reduced, Through, principal_axes
from trainviz.domain.table_slice import TableSlice, axis_of, fixed_values
from trainviz.domain.tables import Table, is_table

__all__ = ["DomainConstructors", "Resolution"]

Resolution = int | tuple[int, int]


def _table_of(X: Any, features: Any, fixed: Any) -> Table | None:
    """Return a DataFrame's table, where the model is to be given DataFrames; else None.

    That is where numbers do not stand for it: it has texts, dates or missing values, categories
    or booleans along an axis, or values are fixed by name. Without ``features`` a wider table
    stands for its columns of numbers.
    """
    if not is_table(X) or (features is None and len(X.columns) != 2):
        return None
    table = Table(X)
    if not len(X) or len(table.columns) < 2:
        raise ValueError(f"X has the shape {X.shape}: expected n >= 1 rows and D >= 2 columns")
    pair = check_features(features, table.names, len(table.columns))
    is_array = (
        all(column.holds_numbers for column in table.columns)
        and not hasattr(fixed, "items")
        and not any(table.columns[at].has_values for at in pair)
        and not np.isnan(table.rows(X)).any()
    )
    return None if is_array else table


def _values_over(X: Any, over: str, values: Sequence[Any] | None) -> Sequence[Any]:
    """Return the values that a column of a table has in several slices."""
    columns = {column.name: column for column in Table(X).columns} if is_table(X) else {}
    if over not in columns:
        known = f"its columns are {list(columns)}" if columns else "it is no DataFrame"
        raise ValueError(f"over={over!r}: X has no such column; {known}")
    given = columns[over].values if values is None else values
    if not 1 <= len(given) <= MAX_CATEGORIES:
        raise ValueError(
            f"over={over!r}: {len(given)} values; expected 1 to {MAX_CATEGORIES}: give values=[...]"
        )
    return given


def _by_name(features: Any, names: list[str] | None) -> Any:
    """Return the features of a table by name, so that columns without numbers may go."""
    if names is None or not isinstance(features, (tuple, list)):
        return features
    known = range(-len(names), len(names))
    return tuple(
        names[part] if hasattr(part, "__index__") and part in known else part for part in features
    )


class DomainConstructors:
    """Constructors from data, samples and reducers; :class:`~trainviz.Domain` inherits them.

    All of them take ``margin`` (what is added on every side, as a share of the
    range), ``resolution`` (grid points along either axis, or ``(H, W)``), and
    ``input_shape`` and ``preprocess`` as :class:`~trainviz.Domain` does.
    """

    @classmethod
    def _of(
        cls,
        limits: list[tuple[float, float]],
        shape: tuple[int, int],
        embedding: Embedding | None,
        axis_names: tuple[str | None, str | None],
        input_shape: Shape | None,
        preprocess: Any,
        feature_names: Sequence[str] | None = None,
    ) -> Self:
        # cls is Domain, which inherits this class and whose __init__ takes these arguments.
        return cls(  # type: ignore[call-arg]
            limits[0], limits[1], shape=shape, embedding=embedding, input_shape=input_shape,
            preprocess=preprocess, axis_names=axis_names, feature_names=feature_names,
        )  # fmt: skip

    @classmethod
    def around(
        cls,
        X: npt.ArrayLike,
        margin: float = 0.1,
        resolution: Resolution = 400,
        *,
        features: tuple[int | str, int | str] | None = None,
        fixed: Fixed = None,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Return the window that encloses every row of ``X``, with a margin.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, D)
            The data in the user's own units.
        margin : float, default 0.1
            What is added on every side, as a share of the data's range.
        resolution : int or tuple of int, default 400
            Grid points along either axis, or ``(H, W)``.
        features : tuple of int or str, optional
            The two columns that vary, by position or (in a DataFrame) by name;
            needed when ``X`` has more than two.
        fixed : {"mean", "median", "nearest"}, int, array-like or mapping, optional
            Where the other columns stay: at their mean (the default; of a table with
            texts, dates or missing values ``"median"``), their median (categories and
            truth values at the most frequent one), at row number ``fixed`` of ``X``, or
            at the given row of D values. With ``"nearest"`` they are those of the row
            that is nearest in the two features, in standard deviations. For tables
            see :meth:`slice`.
        input_shape, preprocess
            As for :class:`~trainviz.Domain`.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If ``X`` is empty, not finite or not two-dimensional, has more than
            two columns and ``features`` is missing, ``features`` are equal or
            out of range, or ``fixed`` fits no row.

        Examples
        --------
        >>> import trainviz as tv
        >>> X = [[0.0, 10.0, 5.0], [2.0, 30.0, 7.0]]
        >>> domain = tv.Domain.around(X, margin=0, resolution=(2, 3), features=(0, 2))
        >>> domain.extent
        (0.0, 2.0, 5.0, 7.0)
        >>> domain.points(0, 3)
        array([[ 0., 20.,  5.],
               [ 1., 20.,  5.],
               [ 2., 20.,  5.]])
        """
        table = _table_of(X, features, fixed)
        if table is not None:
            return cls._of_table(
                table, X, features, fixed, margin, resolution, input_shape, preprocess
            )
        fixed = "mean" if fixed is None else fixed
        features = _by_name(features, column_names(X))
        X = numeric_columns(X, [part for part in features or () if isinstance(part, str)])
        names = column_names(X) or []
        rows = check_rows(X)
        pair = check_features(features, names, rows.shape[1])
        limits = framed(rows[:, list(pair)], check_margin(margin))
        columns = Columns.of(X, names, pair) if names else None
        wide = rows.shape[1] > 2 or pair != (0, 1)
        embedding: Embedding | None = None
        if isinstance(fixed, str) and fixed == "nearest":
            embedding = Nearest(rows, pair) if wide else None
        elif wide:
            embedding = Slice(pair, fixed_row(fixed, rows, columns.discrete if columns else ()))
        default_names = (f"feature {pair[0]}", f"feature {pair[1]}") if wide else (None, None)
        return cls._of(
            limits, check_resolution(resolution), embedding,
            (names[pair[0]], names[pair[1]]) if names else default_names, input_shape, preprocess,
            columns,
        )  # fmt: skip

    @classmethod
    def slice(
        cls,
        X: npt.ArrayLike,
        features: tuple[int | str, int | str],
        fixed: Fixed = None,
        *,
        margin: float = 0.1,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Let two features vary and fix the others: :meth:`around` with ``features`` required.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, D)
            A DataFrame of pandas or polars may hold numbers, booleans, categories
            (texts, categorical dtypes) and dates. With texts, dates, missing values,
            categories or booleans along an axis, or ``fixed`` by name, the model is
            given DataFrames of the same columns, dtypes and categories; without,
            arrays, or the table that it was fitted on. Categories and booleans along
            an axis are bands of equal width, at most 50.
        features
            As for :meth:`around`.
        fixed : optional
            As for :meth:`around`; of a table, values by the names of columns, e.g.
            ``{"city": "Paris"}``, and None for a missing one. A column that is not
            named stays at the median of its numbers or dates (``"mean"``: the
            mean), or its most frequent value, without the missing ones.
        margin, resolution, input_shape, preprocess
            As for :meth:`around`; ``preprocess`` is given DataFrames as well.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            As :meth:`around`; for a table also if names of columns occur twice or
            are unknown, a fixed value is not in its column, or a column has no values.

        Examples
        --------
        >>> import trainviz as tv
        >>> X = [[0.0, 10.0, 5.0], [2.0, 30.0, 7.0]]
        >>> tv.Domain.slice(X, (0, 1), "nearest", margin=0, resolution=2).points()
        array([[ 0., 10.,  5.],
               [ 2., 10.,  5.],
               [ 0., 30.,  5.],
               [ 2., 30.,  7.]])
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"age": [30, 40, 50], "city": ["Rome", "Paris", "Rome"],
        ...                       "paid": [True, False, True]})
        >>> domain = tv.Domain.slice(frame, ("age", "paid"), margin=0, resolution=2)
        >>> domain.points()
            age  city   paid
        0  30.0  Rome  False
        1  50.0  Rome  False
        2  30.0  Rome   True
        3  50.0  Rome   True
        """
        return cls.around(
            X, margin, resolution, features=features, fixed=fixed, input_shape=input_shape,
            preprocess=preprocess,
        )  # fmt: skip

    @classmethod
    def slices(
        cls,
        X: Any,
        features: tuple[int | str, int | str],
        over: str,
        values: Sequence[Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[Any, Self]:
        """Return several slices of a table that differ in the fixed value of one column.

        Record the model on each; ``trainviz.compare(recordings)`` shows them side by
        side, with the same window, colours and limits. Of ``data=`` give each its own
        rows, unless those of the other slices are to be drawn too, fainter.

        Parameters
        ----------
        X, features
            As for :meth:`slice`; ``X`` is a DataFrame.
        over : str
            The column that has another value in each slice.
        values : sequence, optional
            Its values; default: all that occur, at most 50. Needed for numbers.
        fixed : mapping of str to value, optional
            Of other columns, as for :meth:`slice`.
        **options
            As for :meth:`slice`.

        Returns
        -------
        dict
            The domains by the values of ``over``.

        Raises
        ------
        ValueError
            As :meth:`slice`, or if ``over`` is no such column.

        Examples
        --------
        >>> import pandas as pd, trainviz as tv
        >>> frame = pd.DataFrame({"a": [1, 2, 3], "b": [1, 5, 3], "city": ["Rome", "Oslo", "Rome"]})
        >>> list(tv.Domain.slices(frame, ("a", "b"), over="city"))
        ['Oslo', 'Rome']
        """
        given = _values_over(X, over, values)
        others = {} if fixed is None else fixed
        if not isinstance(others, Mapping):
            raise ValueError(
                f"fixed={fixed!r:.80}: expected values by the names of columns; {over!r} takes "
                "those of each slice"
            )
        return {
            value: cls.slice(X, features, {**others, over: value}, **options) for value in given
        }

    @classmethod
    def _of_table(
        cls,
        table: Table,
        X: Any,
        features: Any,
        fixed: Any,
        margin: float,
        resolution: Resolution,
        input_shape: Shape | None,
        preprocess: Any,
    ) -> Self:
        rows, names = table.rows(X), table.names
        pair = check_features(features, names, len(names))
        axes, limits = zip(
            *(axis_of(table.columns[at], rows[:, at], check_margin(margin)) for at in pair),
            strict=True,
        )
        height, width = check_resolution(resolution)
        row = fixed_values(table, rows, pair, fixed)
        return cls._of(
            list(limits), (axes[1].grid_lines(height), axes[0].grid_lines(width)),
            TableSlice.of(table, pair, axes, row), (names[pair[0]], names[pair[1]]), input_shape,
            preprocess, names,
        )  # fmt: skip

    @classmethod
    def through(
        cls,
        a: Any,
        b: Any,
        c: Any,
        *,
        margin: float = 0.25,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Lay the plane through three samples, e.g. images.

        ``a`` lies at ``(0, 0)``, ``b`` at ``(|b - a|, 0)``, ``c`` above the x axis. The
        three are marked in pictures; images, grey ``(H, W)``, ``(1, H, W)`` or
        ``(H, W, 1)`` or coloured ``(H, W, 3)`` or ``(3, H, W)`` with sides of
        at least 4, are drawn as thumbnails.

        Parameters
        ----------
        a, b, c : array-like, or mapping or tuple of array-like
            Three samples of one shape, not on a line.
        margin : float, default 0.25
            What is added on every side, as a share of the samples' range.
        resolution : int or tuple of int, default 400
            Grid points along either axis, or ``(H, W)``.
        input_shape : optional
            Default is the samples' own shape.
        preprocess : optional
            As for :class:`~trainviz.Domain`.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If the samples differ in shape, are not finite, or span no plane.

        Examples
        --------
        >>> import numpy as np, trainviz as tv
        >>> a, b, c = np.zeros((8, 8)), np.eye(8), np.ones((8, 8))
        >>> domain = tv.Domain.through(a, b, c, resolution=50)
        >>> domain.anchors.round(2)
        array([[0.  , 0.  ],
               [2.83, 0.  ],
               [2.83, 7.48]])
        >>> domain.points(0, 10).shape
        (10, 8, 8)
        """
        samples = [
            rows_and_shape(as_batch(x), name) for x, name in zip((a, b, c), "abc", strict=True)
        ]
        shapes = [shape for _, shape in samples]
        if shapes[1] != shapes[0] or shapes[2] != shapes[0]:
            raise ValueError(
                f"the samples a, b and c have the shapes {shapes[0]}, {shapes[1]} and {shapes[2]}: "
                "expected the same"
            )
        plane = Through(np.concatenate([rows for rows, _ in samples]))
        return cls._of(
            framed(plane.project(plane.anchors), check_margin(margin)),
            check_resolution(resolution), plane, ("a → b", "towards c"),
            default_shape(input_shape, shapes[0], preprocess), preprocess,
        )  # fmt: skip

    @classmethod
    def principal(
        cls,
        X: Any,
        *,
        subset: npt.ArrayLike | None = None,
        components: npt.ArrayLike | None = None,
        margin: float = 0.1,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Lay the plane along the two directions in which data vary most, or of a linear map.

        Parameters
        ----------
        X : array-like, shape (n, ...), or mapping or tuple of such arrays
            The data to frame, in the user's own units. Scale features of
            different units first: ``Domain.from_reducer(make_pipeline(
            StandardScaler(), PCA(2)).fit(X), X)``.
        subset : array of bool, shape (n,), or of int, optional
            The rows whose principal plane is taken (and whose mean is at
            (0, 0)); all of ``X`` are framed.
        components : array-like, shape (2, D), optional
            Any linear map instead of the principal directions: the axes show
            ``components @ (x - mean)``. The inputs in the plane vary only
            within the span of its two rows.
        margin, resolution, input_shape, preprocess
            As for :meth:`around`; ``input_shape`` is by default that of the data.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If the data or the map span no plane, or shapes do not fit.

        Examples
        --------
        >>> import trainviz as tv
        >>> X = [[0.0, 0.0, 1.0], [4.0, 0.0, 1.0], [2.0, 1.0, 1.0], [2.0, -1.0, 1.0]]
        >>> domain = tv.Domain.principal(X, margin=0, resolution=5)
        >>> domain.extent, domain.axis_names
        ((-2.0, 2.0, -1.0, 1.0), ('principal component 1 (80 %)', 'principal component 2 (20 %)'))
        """
        rows, shape = rows_and_shape(X)
        part = rows if subset is None else check_subset(rows, subset)
        if components is None:
            center, axes, shares = principal_axes(part)
            plane = Linear(center, axes)
            names = component_names("principal component", shares)
        else:
            plane = Linear(part.mean(axis=0), check_components(components, rows.shape[1]))
            names = component_names("component")
        return cls._of(
            framed(plane.project(rows), check_margin(margin)), check_resolution(resolution), plane,
            names, default_shape(input_shape, shape, preprocess), preprocess, column_names(X),
        )  # fmt: skip

    @classmethod
    def from_reducer(
        cls,
        reducer: Any,
        X: Any,
        *,
        margin: float = 0.1,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Frame data in the two-dimensional space of a fitted reducer.

        Parameters
        ----------
        reducer : object
            Fitted, with ``transform`` and ``inverse_transform``: scikit-learn's
            ``PCA(2)``, ``KernelPCA(2, fit_inverse_transform=True)``, a pipeline
            of such, UMAP (milliseconds per point, where
            :meth:`from_embedding` takes microseconds). A recording on disk
            cannot hold it: opened again, it renders as before, but does not embed.
        X : array-like, shape (n, ...), or mapping or tuple of such arrays
            The data to frame; the reducer receives them as flat rows.
        margin, resolution, input_shape, preprocess
            As for :meth:`around`; ``input_shape`` is by default that of the data.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If the reducer has no inverse, is not fitted, or has other than two
            components.

        Examples
        --------
        >>> import numpy as np, trainviz as tv
        >>> from sklearn.decomposition import PCA
        >>> X = np.array([[0.0, 0, 0], [4, 0, 0], [2, 1, 0], [2, -1, 0]])
        >>> domain = tv.Domain.from_reducer(PCA(2).fit(X), X, margin=0, resolution=5)
        >>> domain.embed([[0, 0]])
        array([[2., 0., 0.]])
        >>> domain.axis_names
        ('PCA 1 (80 %)', 'PCA 2 (20 %)')
        """
        rows, shape = rows_and_shape(X)
        for method in ("transform", "inverse_transform"):
            if not hasattr(reducer, method):
                raise ValueError(reducer_lacks(reducer, f"has no {method}"))
        given = ask_reducer(reducer, "transform", named_columns(reducer, rows, column_names(X)))
        places = check_embedded(given, len(rows), f"{type(reducer).__name__}.transform(X)")
        back = np.asarray(ask_reducer(reducer, "inverse_transform", places[:1]))
        if back.shape != (1, rows.shape[1]):
            raise ValueError(
                f"reducer={type(reducer).__name__}: its inverse_transform returned the shape "
                f"{back.shape} for one point; expected (1, {rows.shape[1]}), a row as those of X"
            )
        last = reducer.steps[-1][1] if hasattr(reducer, "steps") else reducer
        names = component_names(
            type(last).__name__, getattr(last, "explained_variance_ratio_", None)
        )
        return cls._of(
            framed(places, check_margin(margin)), check_resolution(resolution),
            Reduced(reducer, rows.shape[1]), names,
            default_shape(input_shape, shape, preprocess), preprocess, column_names(X),
        )  # fmt: skip

    @classmethod
    def from_embedding(
        cls,
        X: Any,
        embedded: npt.ArrayLike,
        regressor: Any = None,
        *,
        poor_above: float = 0.7,
        margin: float = 0.1,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Frame data in their t-SNE or UMAP embedding, and learn its inverse, plane to inputs.

        Where held-out rows are badly reconstructed, or no data are near, the
        map is unreliable, and pictures are hatched.

        Parameters
        ----------
        X : array-like, shape (n, ...), or mapping or tuple of such arrays
            What was embedded, 10 rows or more.
        embedded : array-like, shape (n, 2)
            Where each row lies.
        regressor : scikit-learn regressor, optional
            Unfitted, from places to rows. Default is a kernel ridge regression
            on at most 2000 rows, its width chosen by cross-validation; only
            this can be held by a recording on disk.
        poor_above : float, default 0.7
            The largest held-out error, as a share of the data's spread (their
            root mean square distance from the mean), that is not hatched. At
            0.7 half of the variance is lost.
        margin, resolution, input_shape, preprocess
            As for :meth:`around`; ``input_shape`` is by default that of the data.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            If the shapes do not fit, or there is nothing to learn.
        ImportError
            If scikit-learn is missing.

        Notes
        -----
        ``project`` places rows of ``X`` where they were embedded, and others at
        the weighted mean of their five nearest.

        Examples
        --------
        >>> import numpy as np, trainviz as tv
        >>> angle = np.linspace(0, 3, 50)
        >>> X = np.stack([angle, angle**2, np.cos(angle)], axis=1)
        >>> places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> domain = tv.Domain.from_embedding(X, places, resolution=50)
        >>> domain.poor[0, 25], float(domain.poor.mean()) < 1  # the circle's middle is a guess
        (np.True_, True)
        """
        rows, shape = rows_and_shape(X)
        places = check_embedded(embedded, len(rows))
        if not (isinstance(poor_above, (int, float, np.number)) and 0 < poor_above < np.inf):
            raise ValueError(f"poor_above={poor_above!r}: expected a share of the spread, e.g. 0.7")
        # Imported here, because it needs scikit-learn, an optional dependency.
        from trainviz.domain.fitting import learn_inverse

        return cls._of(
            framed(places, check_margin(margin)), check_resolution(resolution),
            learn_inverse(places, rows, regressor, float(poor_above)),
            ("embedding 1", "embedding 2"), default_shape(input_shape, shape, preprocess),
            preprocess, column_names(X),
        )  # fmt: skip
