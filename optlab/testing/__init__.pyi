from .as_optimizer import as_optimizer as as_optimizer
from .check_optimizer import check_optimizer as check_optimizer
from .report import CheckResult as CheckResult
from .report import Failure as Failure
from .report import Report as Report
from .run_checks import run_checks as run_checks
from .signature import Signature as Signature
from .signature import signature as signature
