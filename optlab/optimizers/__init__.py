"""Optimizers: the protocol, the batches, the registry, and one method a file."""

from optlab.optimizers import registry as registry
from optlab.optimizers.batches import Batches as Batches
from optlab.optimizers.batches import BatchSize as BatchSize
from optlab.optimizers.batches import check_batch_size as check_batch_size
from optlab.optimizers.optimizer import Iterate as Iterate
from optlab.optimizers.optimizer import Optimizer as Optimizer
from optlab.optimizers.optimizer import hyperparameters as hyperparameters
from optlab.optimizers.optimizer import optimizer_name as optimizer_name
from optlab.optimizers.optimizer import unsupported as unsupported
from optlab.optimizers.optimizer import versions as versions
