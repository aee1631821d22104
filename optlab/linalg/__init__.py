"""Least squares with certified digits, for tensors of any device."""

from optlab.linalg.certificate import Certificate as Certificate
from optlab.linalg.least_squares import least_squares as least_squares
from optlab.linalg.solution import LeastSquaresSolution as LeastSquaresSolution
from optlab.linalg.streaming import array_blocks as array_blocks
from optlab.linalg.streaming import streaming_least_squares as streaming_least_squares
