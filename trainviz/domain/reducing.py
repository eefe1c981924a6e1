"""The ways to lay a window through what reduces data to two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from trainviz.domain.checks import (
    ask_reducer,
    check_components,
    check_embedded,
    check_margin,
    check_resolution,
    check_subset,
    component_names,
    default_shape,
    framed,
    reducer_lacks,
)
from trainviz.domain.framing import Framing, Resolution
from trainviz.domain.inputs import Shape, named_columns, rows_and_shape
from trainviz.domain.planes import Linear, Reduced, principal_axes

__all__ = ["Reducing"]


class Reducing(Framing):
    """The constructors that :class:`~trainviz.Domain` inherits, for maps to two dimensions."""

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
            The data to frame, in the user's own units. Features of different
            units want a scaled map: ``Domain.from_reducer(make_pipeline(
            StandardScaler(), PCA(2)).fit(X), X)``.
        subset : array of bool, shape (n,), or of int, optional
            The rows whose principal plane is taken (and whose mean is at
            (0, 0)); all of ``X`` are framed.
        components : array-like, shape (2, D), optional
            Instead of the principal directions, any linear map: the axes show
            ``components @ (x - mean)``. Elsewhere in the plane's inputs
            nothing changes that the map can see.
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
            names, default_shape(input_shape, shape, preprocess), preprocess,
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
        """Frame data as a fitted reducer to two dimensions sees them.

        Parameters
        ----------
        reducer : object
            Fitted, with ``transform`` and ``inverse_transform``: scikit-learn's
            ``PCA(2)``, ``KernelPCA(2, fit_inverse_transform=True)``, a pipeline
            of such, UMAP (which takes milliseconds a point, where
            :meth:`from_embedding` takes microseconds). A recording on disk
            cannot hold it: opened again, it renders as before, but does not embed.
        X : array-like, shape (n, ...), or mapping or tuple of such arrays
            The data to frame; the reducer is given flat rows.
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
        given = ask_reducer(reducer, "transform", named_columns(reducer, rows))
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
            default_shape(input_shape, shape, preprocess), preprocess,
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
        """Frame data as t-SNE or UMAP placed them, and learn the way back to inputs.

        Where rows that the regressor had not seen are badly reconstructed, or
        no data are near, the map shows guesses, and pictures are hatched.

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
        # Only here: it imports scikit-learn.
        from trainviz.domain.fitting import learn_inverse

        return cls._of(
            framed(places, check_margin(margin)), check_resolution(resolution),
            learn_inverse(places, rows, regressor, float(poor_above)),
            ("embedding 1", "embedding 2"), default_shape(input_shape, shape, preprocess),
            preprocess,
        )  # fmt: skip
