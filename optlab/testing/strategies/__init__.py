"""Strategies of hypothesis: problems, batches, points, hyperparameters, dtypes and devices.

They draw whole numbers and seeds, from which everything is made: the same draw is the same object,
in every process. They shrink to few rows and columns, condition 1, no noise and default
hyperparameters, and a problem's name holds the draws. They need the extra ``testing``.

Examples
--------
>>> from hypothesis import given, settings
>>> from optlab.testing import check_gradient, strategies
>>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
... @given(strategies.convex_problems())
... def test_gradients(problem):
...     check_gradient(problem).raise_if_failed()
>>> test_gradients()
"""

try:
    import hypothesis  # noqa: F401 - the files of this room import it at their top
except ImportError as error:
    raise ImportError(
        "optlab.testing.strategies need hypothesis: pip install 'optlab[testing]'"
    ) from error

from optlab.testing.strategies.batch_strategies import batch_sizes as batch_sizes
from optlab.testing.strategies.batch_strategies import batches as batches
from optlab.testing.strategies.batch_strategies import epochs as epochs
from optlab.testing.strategies.batch_strategies import points as points
from optlab.testing.strategies.designs import Design as Design
from optlab.testing.strategies.designs import designs as designs
from optlab.testing.strategies.hyperparameter_strategies import (
    edge_hyperparameters as edge_hyperparameters,
)
from optlab.testing.strategies.hyperparameter_strategies import (
    invalid_hyperparameters as invalid_hyperparameters,
)
from optlab.testing.strategies.hyperparameter_strategies import (
    stability_hyperparameters as stability_hyperparameters,
)
from optlab.testing.strategies.hyperparameter_strategies import (
    valid_hyperparameters as valid_hyperparameters,
)
from optlab.testing.strategies.kinds import devices as devices
from optlab.testing.strategies.kinds import dtypes as dtypes
from optlab.testing.strategies.linear_strategies import convex_problems as convex_problems
from optlab.testing.strategies.linear_strategies import least_squares as least_squares
from optlab.testing.strategies.other_problem_strategies import curves as curves
from optlab.testing.strategies.other_problem_strategies import functions as functions
from optlab.testing.strategies.other_problem_strategies import modules as modules
from optlab.testing.strategies.other_problem_strategies import problems as problems
