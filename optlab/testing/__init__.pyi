from . import oracles as oracles
from . import strategies as strategies
from .check_problem import check_problem as check_problem
from .gradients.check_gradient import check_gradient as check_gradient
from .report import CheckResult as CheckResult
from .report import Failure as Failure
from .report import Report as Report
from .run_checks import run_checks as run_checks
