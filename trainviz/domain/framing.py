"""The ways to lay a window through data and samples: constructors of a domain."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz.domain.checks import (
    as_batch,
    check_features,
    check_margin,
    check_resolution,
    check_rows,
    default_shape,
    fixed_row,
    framed,
)
from trainviz.domain.embeddings import Embedding, Fixed, Slice
from trainviz.domain.inputs import Shape, rows_and_shape
from trainviz.domain.planes import Nearest, Through

__all__ = ["Framing", "Resolution"]

Resolution = int | tuple[int, int]


class Framing:
    """The constructors that :class:`~trainviz.Domain` inherits, for two features or samples.

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
    ) -> Self:
        raise NotImplementedError

    @classmethod
    def around(
        cls,
        X: npt.ArrayLike,
        margin: float = 0.1,
        resolution: Resolution = 400,
        *,
        features: tuple[int | str, int | str] | None = None,
        fixed: Fixed = "mean",
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Frame the data: the window that holds every row of ``X``, and a margin.

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
        fixed : {"mean", "median", "nearest"}, int or array-like, default "mean"
            Where the other columns stay: at their mean, their median, at row
            number ``fixed`` of ``X``, or at the given row of D values. With
            ``"nearest"`` they are those of the row that is nearest in the two
            features, in standard deviations.
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
        names = [str(name) for name in getattr(X, "columns", [])]
        rows = check_rows(X)
        pair = check_features(features, names, rows.shape[1])
        limits = framed(rows[:, list(pair)], check_margin(margin))
        wide = rows.shape[1] > 2 or pair != (0, 1)
        embedding: Embedding | None = None
        if isinstance(fixed, str) and fixed == "nearest":
            embedding = Nearest(rows, pair) if wide else None
        elif wide:
            embedding = Slice(pair, fixed_row(fixed, rows))
        default_names = (f"feature {pair[0]}", f"feature {pair[1]}") if wide else (None, None)
        return cls._of(
            limits, check_resolution(resolution), embedding,
            (names[pair[0]], names[pair[1]]) if names else default_names, input_shape, preprocess,
        )  # fmt: skip

    @classmethod
    def slice(
        cls,
        X: npt.ArrayLike,
        features: tuple[int | str, int | str],
        fixed: Fixed = "mean",
        *,
        margin: float = 0.1,
        resolution: Resolution = 400,
        input_shape: Shape | None = None,
        preprocess: Any = None,
    ) -> Self:
        """Let two features vary and fix the others: :meth:`around`, said by its purpose.

        Parameters
        ----------
        X, features, fixed, margin, resolution, input_shape, preprocess
            As for :meth:`around`.

        Returns
        -------
        Domain

        Raises
        ------
        ValueError
            As :meth:`around`.

        Examples
        --------
        >>> import trainviz as tv
        >>> X = [[0.0, 10.0, 5.0], [2.0, 30.0, 7.0]]
        >>> tv.Domain.slice(X, (0, 1), "nearest", margin=0, resolution=2).points()
        array([[ 0., 10.,  5.],
               [ 2., 10.,  5.],
               [ 0., 30.,  5.],
               [ 2., 30.,  7.]])
        """
        return cls.around(
            X, margin, resolution, features=features, fixed=fixed, input_shape=input_shape,
            preprocess=preprocess,
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

        ``a`` lies at (0, 0), ``b`` at (|b - a|, 0), ``c`` above the x axis. The
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
