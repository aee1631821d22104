from . import datasets as datasets
from . import linalg as linalg
from .experiment import Experiment as Experiment
from .experiment import compare as compare
from .lab.execution_options import Execution as Execution
from .lab.trial.status import Status as Status
from .lab.trial.stop_at import StopAt as StopAt
from .minimization import Solution as Solution
from .minimization import minimize as minimize
from .optimizers.analytic_sgd import AnalyticSGD as AnalyticSGD
from .optimizers.batches import Batches as Batches
from .optimizers.cuda_graph import CUDAGraph as CUDAGraph
from .optimizers.fused.fused_sgd import FusedSGD as FusedSGD
from .optimizers.lstsq import Lstsq as Lstsq
from .optimizers.manual_sgd import ManualSGD as ManualSGD
from .optimizers.normal_equations import NormalEquations as NormalEquations
from .optimizers.optimizer import Iterate as Iterate
from .optimizers.optimizer import Optimizer as Optimizer
from .optimizers.qr import QR as QR
from .optimizers.refined_lstsq import RefinedLstsq as RefinedLstsq
from .optimizers.registry import register as register
from .optimizers.sklearn_linear_regression import (
    SklearnLinearRegression as SklearnLinearRegression,
)
from .optimizers.streaming_lstsq import StreamingLstsq as StreamingLstsq
from .optimizers.torch_optimizer import TorchOptimizer as TorchOptimizer
from .optimizers.torch_sgd import TorchSGD as TorchSGD
from .problems.linear_regression import LinearRegression as LinearRegression
from .problems.problem import Batch as Batch
from .problems.problem import Optimum as Optimum
from .problems.problem import Parameters as Parameters
from .problems.problem import Problem as Problem
from .results import Results as Results

__version__: str
