"""The ten points of the tutorial that optlab grew out of."""

from __future__ import annotations

import numpy as np

from optlab.datasets.dataset import Dataset


def tutorial() -> Dataset:
    """Return the article's ten points, in float32 as the article has them.

    Returns
    -------
    Dataset
        ``X (10, 1)`` and ``y (10,)``, float32.

    See Also
    --------
    diabetes, nist : Other built-in sets.

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.tutorial().y.tolist()[:3]
    [1.0, 1.2999999523162842, 3.0999999046325684]
    """
    return Dataset(
        name="tutorial",
        X=np.arange(10, dtype="float32").reshape(10, 1),
        y=np.array([1.0, 1.3, 3.1, 2.0, 5.0, 6.3, 6.6, 7.4, 8.0, 9.0], dtype="float32"),
        feature_names=("x",),
        source="A beginners' tutorial on linear regression in PyTorch (Qiita, in Japanese), after "
        "Raschka, Liu and Mirjalili, Machine Learning with PyTorch and Scikit-Learn (2022).",
    )
