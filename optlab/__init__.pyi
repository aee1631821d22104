from . import datasets as datasets
from . import linalg as linalg
from .experiment import Experiment as Experiment
from .experiment import compare as compare
from .lab.execution_options import Execution as Execution
from .lab.trial.status import Status as Status
from .lab.trial.stop_at import StopAt as StopAt
from .minimization import Solution as Solution
from .minimization import minimize as minimize
from .optimizers import schedules as schedules
from .optimizers.barzilai_borwein import BarzilaiBorwein as BarzilaiBorwein
from .optimizers.batches import Batches as Batches
from .optimizers.cgls import CGLS as CGLS
from .optimizers.coordinate_descent import CoordinateDescent as CoordinateDescent
from .optimizers.exact_line_search import ExactLineSearch as ExactLineSearch
from .optimizers.first_order.adagrad import AdaGrad as AdaGrad
from .optimizers.first_order.adam import Adam as Adam
from .optimizers.first_order.adamw import AdamW as AdamW
from .optimizers.first_order.averaged import Averaged as Averaged
from .optimizers.first_order.clipped import Clipped as Clipped
from .optimizers.first_order.descend import descend as descend
from .optimizers.first_order.heavy_ball import HeavyBall as HeavyBall
from .optimizers.first_order.lion import Lion as Lion
from .optimizers.first_order.nesterov import Nesterov as Nesterov
from .optimizers.first_order.rmsprop import RMSprop as RMSprop
from .optimizers.first_order.sgd import SGD as SGD
from .optimizers.fista import FISTA as FISTA
from .optimizers.lsqr import LSQR as LSQR
from .optimizers.lstsq import Lstsq as Lstsq
from .optimizers.manual_sgd import ManualSGD as ManualSGD
from .optimizers.normal_equations import NormalEquations as NormalEquations
from .optimizers.optimizer import Cost as Cost
from .optimizers.optimizer import Iterate as Iterate
from .optimizers.optimizer import Optimizer as Optimizer
from .optimizers.optimizer_registry import register as register
from .optimizers.polyak_step import PolyakStep as PolyakStep
from .optimizers.proximal_gradient import ProximalGradient as ProximalGradient
from .optimizers.qr import QR as QR
from .optimizers.refined_lstsq import RefinedLstsq as RefinedLstsq
from .optimizers.saga import SAGA as SAGA
from .optimizers.sdca import SDCA as SDCA
from .optimizers.sklearn_linear_regression import (
    SklearnLinearRegression as SklearnLinearRegression,
)
from .optimizers.streaming_lstsq import StreamingLstsq as StreamingLstsq
from .optimizers.svrg import SVRG as SVRG
from .optimizers.torch_optimizer import TorchOptimizer as TorchOptimizer
from .optimizers.torch_sgd import TorchSGD as TorchSGD
from .problems.capabilities import gradient as gradient
from .problems.linear_regression import LinearRegression as LinearRegression
from .problems.problem import Batch as Batch
from .problems.problem import Parameters as Parameters
from .problems.problem import Problem as Problem
from .problems.problem import Reference as Reference
from .results import Results as Results

__version__: str
