"""Problems: the protocol and its implementations."""

from optlab.problems.least_squares_system import LeastSquaresSystem as LeastSquaresSystem
from optlab.problems.linear_regression import LinearRegression as LinearRegression
from optlab.problems.problem import Batch as Batch
from optlab.problems.problem import Evaluation as Evaluation
from optlab.problems.problem import Optimum as Optimum
from optlab.problems.problem import Parameters as Parameters
from optlab.problems.problem import Problem as Problem
