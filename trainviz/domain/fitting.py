"""Learning the inverse of a two-dimensional embedding; needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainviz._common.providers import install_hint
from trainviz.domain.learned_inverse import InverseErrors, KernelInverse, LearnedInverse

try:
    from sklearn.base import clone
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
    from sklearn.neighbors import NearestNeighbors
except ImportError as error:
    raise ImportError(install_hint("scikit-learn", "Domain.from_embedding")) from error

__all__ = ["learn_inverse"]

Rows = npt.NDArray[np.float64]

_LARGEST = 2000
"""Largest number of rows to fit: the time of kernel ridge regression grows with their cube."""

_CHOOSING = 700
"""Largest number of rows on which the kernel width is cross-validated."""

_SCORE = "neg_mean_squared_error"
"""Not the default R², which gives a feature that hardly varies the same weight as any other."""

_LEAST = 10
"""Fewest rows: cross-validation needs some to hold out."""

_WIDTHS = (2, 4, 8, 16)
"""Kernel widths to choose from, in units of the median distance to the nearest neighbour."""


def learn_inverse(embedded: Rows, rows: Rows, regressor: Any, tolerance: float) -> LearnedInverse:
    """Fit a regressor from the plane to the data, and measure its error on held-out rows.

    Parameters
    ----------
    embedded : ndarray of float64, shape (n, 2)
    rows : ndarray of float64, shape (n, D)
    regressor : scikit-learn regressor, optional
        Unfitted; default is a kernel ridge regression whose width is chosen by
        cross-validation.
    tolerance : float
        The largest held-out error, as a share of the data's spread, that is
        not poor.

    Returns
    -------
    LearnedInverse

    Raises
    ------
    ValueError
        If there are fewer than 10 rows, or all places or all rows are the same.

    Examples
    --------
    >>> angle = np.linspace(0, 3, 40)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> learnt = learn_inverse(circle, np.stack([angle, angle**2, angle], axis=1), None, 0.7)
    >>> float(np.abs(learnt.embed(circle[:1]) - 0).max()) < 0.2
    True
    """
    if len(rows) < _LEAST:
        raise ValueError(f"X has {len(rows)} rows: learning an inverse takes {_LEAST} or more")
    mean = rows.mean(axis=0)
    spread = float(np.sqrt(((rows - mean) ** 2).sum(axis=1).mean()))
    if not spread > 0:
        raise ValueError("X: all rows are the same, there is nothing to learn")
    chosen = np.arange(len(rows))
    if len(rows) > _LARGEST:
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), _LARGEST, replace=False))
    places, wanted = embedded[chosen], rows[chosen] - mean
    gaps = NearestNeighbors(n_neighbors=2).fit(places).kneighbors(places)[0][:, 1]
    typical = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.0
    if not typical > 0:
        raise ValueError("embedded: all places are the same, there is nothing to learn from")
    folds = KFold(5, shuffle=True, random_state=0)
    model = _chosen_ridge(places, wanted, typical, folds) if regressor is None else clone(regressor)
    guesses = cross_val_predict(model, places, wanted, cv=folds).reshape(wanted.shape)
    errors = np.linalg.norm(wanted - guesses, axis=1) / spread
    model.fit(places, wanted)
    doubts = InverseErrors(places, errors, tolerance, 3 * float(np.quantile(gaps, 0.95)) or typical)
    if regressor is None:
        inverse: Any = KernelInverse(places, model.dual_coef_, mean, model.gamma)
    else:
        inverse = _Shifted(model, mean)
    return LearnedInverse(inverse, embedded, rows, doubts)


class _Shifted:
    """A regressor that was fitted to differences from the mean."""

    def __init__(self, model: Any, mean: Rows) -> None:
        self._model = model
        self._mean = mean

    def __call__(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        rows: Rows = self._mean + self._model.predict(points).reshape(len(points), -1)
        return rows


def _chosen_ridge(places: Rows, wanted: Rows, typical: float, folds: Any) -> Any:
    thinned = -(-len(places) // _CHOOSING)
    widths = [width * typical * thinned**0.5 for width in _WIDTHS]
    grid = {"gamma": [1 / (2 * width**2) for width in widths], "alpha": [0.1, 1.0]}
    search = GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=folds, scoring=_SCORE)
    best = search.fit(places[::thinned], wanted[::thinned]).best_params_
    # All places together are denser by this factor, so that the width shrinks by its root.
    return KernelRidge(kernel="rbf", gamma=best["gamma"] * thinned, alpha=best["alpha"])
