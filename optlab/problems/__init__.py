"""Problems: the protocol and its implementations."""

from optlab.problems.capabilities import gradient as gradient
from optlab.problems.capabilities import loss_and_gradient as loss_and_gradient
from optlab.problems.least_squares_system import LeastSquaresSystem as LeastSquaresSystem
from optlab.problems.linear_regression import LinearRegression as LinearRegression
from optlab.problems.problem import Batch as Batch
from optlab.problems.problem import Evaluation as Evaluation
from optlab.problems.problem import Parameters as Parameters
from optlab.problems.problem import Problem as Problem
from optlab.problems.problem import Reference as Reference
from optlab.problems.problem import problem_dtype as problem_dtype
from optlab.problems.problem_registry import registry as registry
