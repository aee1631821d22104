from . import datasets as datasets
from . import linalg as linalg
from .experiment import Experiment as Experiment
from .experiment import compare as compare
from .lab.execution_options import Execution as Execution
from .lab.trial.status import Status as Status
from .lab.trial.stop_at import StopAt as StopAt
from .minimization import Solution as Solution
from .minimization import minimize as minimize
from .optimizers.adapters.scipy_least_squares import ScipyLeastSquares as ScipyLeastSquares
from .optimizers.batches import Batches as Batches
from .optimizers.gauss_newton import GaussNewton as GaussNewton
from .optimizers.lbfgs import LBFGS as LBFGS
from .optimizers.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from .optimizers.lstsq import Lstsq as Lstsq
from .optimizers.manual_sgd import ManualSGD as ManualSGD
from .optimizers.newton import Newton as Newton
from .optimizers.normal_equations import NormalEquations as NormalEquations
from .optimizers.optimizer import Cost as Cost
from .optimizers.optimizer import Iterate as Iterate
from .optimizers.optimizer import Optimizer as Optimizer
from .optimizers.optimizer_registry import register as register
from .optimizers.qr import QR as QR
from .optimizers.refined_lstsq import RefinedLstsq as RefinedLstsq
from .optimizers.sklearn_linear_regression import (
    SklearnLinearRegression as SklearnLinearRegression,
)
from .optimizers.streaming_lstsq import StreamingLstsq as StreamingLstsq
from .optimizers.torch_optimizer import TorchOptimizer as TorchOptimizer
from .optimizers.torch_sgd import TorchSGD as TorchSGD
from .problems.capabilities import gradient as gradient
from .problems.linear_regression import LinearRegression as LinearRegression
from .problems.nonlinear_least_squares import NonlinearLeastSquares as NonlinearLeastSquares
from .problems.problem import Batch as Batch
from .problems.problem import Parameters as Parameters
from .problems.problem import Problem as Problem
from .problems.problem import Reference as Reference
from .results import Results as Results

__version__: str
