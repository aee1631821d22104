"""A problem of a person's own: data of rank 3, no gradient in closed form, no reference."""

import math

import torch
from torch import Tensor

import optlab as ol
from optlab.problems import Batch, Evaluation


class Ripples:
    """Fit products of rows by a tensor, with a squared sine: a loss with many minimisers.

    ``X`` has shape ``(n, 2, 3)``, the parameters are a matrix ``A (2, 3)`` and a level ``c (4,)``,
    of which the loss uses the mean.
    """

    def __init__(self, X, y, name="ripples"):
        self._X, self._y, self._name = torch.as_tensor(X), torch.as_tensor(y), name

    @classmethod
    def drawn(cls, n=12, seed=0, name="ripples"):
        generator = torch.Generator().manual_seed(seed)
        X = torch.randn(n, 2, 3, generator=generator, dtype=torch.float64)
        return cls(X, X.sum((1, 2)).cos(), name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def data(self) -> Batch:
        return Batch(self._X, self._y)

    def loss(self, parameters, batch: Batch | None = None) -> Tensor:
        return self._errors(parameters, batch).pow(2).mean()

    def _errors(self, parameters, batch):
        X, y, _ = batch or self.data
        return (X * parameters["A"]).sum((1, 2)).sin() + parameters["c"].mean() - y

    def start(self, generator):
        drawn = torch.randn(2, 3, generator=generator, dtype=torch.float32)
        like = self._X
        return {"A": drawn.to(like.device, like.dtype), "c": like.new_zeros(4)}

    def to(self, device, dtype, *, copy=False):
        X, y = (part.to(device, dtype, copy=copy) for part in (self._X, self._y))
        return type(self)(X, y, self._name)

    def reference(self) -> ol.Reference | None:
        return None

    def evaluate(self, parameters) -> Evaluation:
        whole = self.to("cpu", torch.float64)
        point = {
            name: value.detach().to("cpu", torch.float64) for name, value in parameters.items()
        }
        slopes = ol.gradient(whole, point).values()
        return Evaluation(
            loss=whole.loss(point).item(),
            suboptimality=math.nan,
            gradient_norm=math.sqrt(sum(float(slope.pow(2).sum()) for slope in slopes)),
            parameter_error=math.nan,
            more={"median_error": whole._errors(point, None).abs().median().item()},
        )
