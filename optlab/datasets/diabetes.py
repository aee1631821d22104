"""The diabetes data that come with scikit-learn."""

from __future__ import annotations

from optlab.datasets.dataset import Dataset


def diabetes() -> Dataset:
    """Return 442 patients, 10 baseline measurements and the disease's progress a year later.

    The columns are the raw ones (age in years, and so on), float64.

    Returns
    -------
    Dataset
        ``X (442, 10)`` and ``y (442,)``, float64.

    See Also
    --------
    tutorial, nist : Other built-in sets.
    load : By name.

    References
    ----------
    Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, Annals of Statistics (2004).

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.diabetes()
    Dataset('diabetes', n=442, d=10, float64)
    """
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 - a second of import, used here only

    bunch = load_diabetes(scaled=False)
    return Dataset(
        name="diabetes",
        X=bunch.data,
        y=bunch.target,
        feature_names=tuple(bunch.feature_names),
        target_name="progression",
        source="Efron et al., Least Angle Regression (2004), as bundled with scikit-learn.",
    )
