"""Optimizers: the protocol, the batches, the registry, and one method a file."""

from optlab.optimizers import schedules as schedules
from optlab.optimizers.batches import Batches as Batches
from optlab.optimizers.batches import BatchSize as BatchSize
from optlab.optimizers.batches import Order as Order
from optlab.optimizers.batches import check_batch_size as check_batch_size
from optlab.optimizers.batches import check_order as check_order
from optlab.optimizers.optimizer import Cost as Cost
from optlab.optimizers.optimizer import Iterate as Iterate
from optlab.optimizers.optimizer import Optimizer as Optimizer
from optlab.optimizers.optimizer import hyperparameters as hyperparameters
from optlab.optimizers.optimizer import is_direct as is_direct
from optlab.optimizers.optimizer import optimizer_name as optimizer_name
from optlab.optimizers.optimizer import unsupported as unsupported
from optlab.optimizers.optimizer import versions as versions
from optlab.optimizers.optimizer_registry import register as register
from optlab.optimizers.optimizer_registry import registry as registry
