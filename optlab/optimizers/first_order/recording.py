"""Record the operations of a function of tensors, so that they can be replayed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode


def recorded(function: Callable[..., tuple[Tensor, ...]], given: Sequence[Tensor]) -> Any:
    """Return the operations that a function makes of tensors, as a function of such tensors.

    Where it reads a number of a tensor, as `if y.max() > 1` does, what it makes may depend on it:
    then the function itself is returned.

    `torch.fx.experimental.proxy_tensor.make_fx` does this too, and takes eight times as long, as it
    also works out what is known of each value.

    Examples
    --------
    >>> import torch
    >>> twice = recorded(lambda x: (x + x,), [torch.ones(2)])
    >>> twice(torch.tensor([1.0, 2.0]))
    (tensor([2., 4.]),)
    """
    recorder = _Recorder(given)
    with recorder:
        found = function(*given)
    if recorder.reads_numbers:
        return function
    recorder.graph.output(recorder.nodes_of(found))
    return GraphModule(recorder.root, recorder.graph)


class _Recorder(TorchDispatchMode):
    """Write each operation on tensors into a graph."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.graph, self.root = Graph(), torch.nn.Module()
        self.reads_numbers = False
        # By a tensor's id: it is kept too, so that no other has its id.
        self._nodes: dict[int, tuple[Node, Tensor]] = {}
        for k, tensor in enumerate(given):
            self._nodes[id(tensor)] = self.graph.placeholder(f"given_{k}"), tensor

    def nodes_of(self, value: Any) -> Any:
        """Return a value with a node in place of each tensor."""
        return map_aggregate(value, self._node)

    def _node(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._nodes:  # of the function itself
            name = f"constant_{len(self._nodes)}"
            self.root.register_buffer(name, value)
            self._nodes[id(value)] = self.graph.get_attr(name), value
        return self._nodes[id(value)][0]

    def __torch_dispatch__(
        self, operation: Any, kinds: Any, given: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        named = named or {}
        nodes = self.nodes_of(given), self.nodes_of(named)
        found = operation(*given, **named)
        node = self.graph.call_function(operation, *nodes)
        if isinstance(found, Tensor):
            self._nodes[id(found)] = node, found
        elif isinstance(found, tuple | list):
            for k, part in enumerate(found):
                if isinstance(part, Tensor):
                    taken = self.graph.call_function(operator.getitem, (node, k))
                    self._nodes[id(part)] = taken, part
        else:
            self.reads_numbers = True
        return found
