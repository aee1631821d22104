from .report import CheckResult as CheckResult
from .report import Failure as Failure
from .report import Report as Report
from .run_checks import run_checks as run_checks
