"""A zoo of planted faults in problems and gradients, each with the check that names it."""

import math
from dataclasses import dataclass

import numpy as np
import torch

import optlab as ol
from optlab.problems import Batch, loss_and_gradient

N, D = 8, 2
_draw = np.random.default_rng(0)
X = _draw.normal(size=(N, D))
y = X @ [1.0, -2.0] + _draw.normal(size=N)
WEIGHT = _draw.uniform(0.5, 2.0, N)


def linear(cls=ol.LinearRegression, **options):
    return cls(X, y, **{"l2": 0.1, "name": "planted"} | options)


class Right(ol.LinearRegression):
    """No fault: what the others are made of."""


class WrongSign(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        return {k: -v for k, v in super().gradient(parameters, batch).items()}


class FactorTwo(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        return {k: v / 2 for k, v in super().gradient(parameters, batch).items()}


class SumGradient(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        rows = len((batch or self.data).y)
        return {k: rows * v for k, v in super().gradient(parameters, batch).items()}


class NominalBatchSize(ol.LinearRegression):
    """Divides each batch but that of all rows by the size that batches have, not by its own."""

    def gradient(self, parameters, batch=None):
        rows = N if batch is None else len(batch.y)
        nominal = rows if rows >= 5 else 5
        return {k: v * rows / nominal for k, v in super().gradient(parameters, batch).items()}


class PenaltyForgotten(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        return found | {"weight": found["weight"] - self.l2 * parameters["weight"]}


class OneComponent(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        found["weight"][1] *= 0.99
        return found


class AlmostRight(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        return {k: v * (1 + 1e-9) for k, v in super().gradient(parameters, batch).items()}


class WeightsForgotten(ol.LinearRegression):
    """Ignores the rows' weights in the gradient."""

    def gradient(self, parameters, batch=None):
        X, y, _ = batch or self.data
        return super().gradient(parameters, Batch(X, y, torch.ones_like(y)))


class SingleGradient(ol.LinearRegression):
    """Computes the gradient in float32 inside float64."""

    def gradient(self, parameters, batch=None):
        rows = Batch(*(None if v is None else v.float() for v in batch or self.data))
        single = {k: v.float() for k, v in parameters.items()}
        found = super().gradient(single, rows)
        return {k: v.to(parameters[k].dtype) for k, v in found.items()}


class SingleLoss(ol.LinearRegression):
    """Computes predictions in float32 inside float64, in loss and gradient alike."""

    def linear_predictor(self, parameters, X=None):
        found = super().linear_predictor({k: v.float() for k, v in parameters.items()},
                                         (self.X if X is None else X).float())  # fmt: skip
        return found.to(parameters["weight"].dtype)


class Stale(ol.LinearRegression):
    """Returns the gradient at the point of the call before."""

    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        kept = vars(self).setdefault("_last", [found])
        kept.append(found)
        return kept.pop(0)


class OneBuffer(ol.LinearRegression):
    """Writes each gradient into the tensors of the last one."""

    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        buffer = vars(self).setdefault("_buffer", {})
        for name, value in found.items():
            buffer.setdefault(name, torch.empty_like(value)).copy_(value)
        return dict(buffer)


class KeyMissing(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        return {"weight": super().gradient(parameters, batch)["weight"]}


class ColumnGradient(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        return found | {"weight": found["weight"][:, None]}


class DataChanged(ol.LinearRegression):
    """Centres the batch in place."""

    def gradient(self, parameters, batch=None):
        found = super().gradient(parameters, batch)
        (batch or self.data).y.sub_(0.5)
        return found


class ParametersChanged(ol.LinearRegression):
    def loss(self, parameters, batch=None):
        found = super().loss(parameters, batch)
        with torch.no_grad():
            parameters["weight"].clamp_(-0.5, 0.5)
        return found


class Viewed(ol.LinearRegression):
    """Takes it for granted that tensors are contiguous."""

    def gradient(self, parameters, batch=None):
        rows = batch or self.data
        return super().gradient(parameters, rows._replace(X=rows.X.view(-1).view(rows.X.shape)))


def as_contiguous(values):
    """The numbers that lie at the places of a contiguous tensor, whatever this one's strides."""
    strides = [math.prod(values.shape[k + 1 :]) for k in range(values.ndim)]
    return values.as_strided(values.shape, strides)


class LossOfStrides(ol.LinearRegression):
    def loss(self, parameters, batch=None):
        X, y, weight = batch or self.data
        return super().loss(parameters, Batch(as_contiguous(X), y, weight))


class GradientOfStrides(ol.LinearRegression):
    def gradient(self, parameters, batch=None):
        X, y, weight = batch or self.data
        return super().gradient(parameters, Batch(as_contiguous(X), y, weight))


class NoGradient:
    """A problem whose gradient is autograd's: mean squared error without intercept."""

    def __init__(self, X=X, y=y, name="own"):
        self.X, self.y, self.name = torch.as_tensor(X), torch.as_tensor(y), name

    @property
    def data(self):
        return Batch(self.X, self.y)

    def errors(self, parameters, batch):
        X, y, _ = batch or self.data
        return X @ parameters["w"] - y

    def loss(self, parameters, batch=None):
        return self.errors(parameters, batch).square().mean()

    def start(self, generator):
        return {"w": torch.randn(D, generator=generator, dtype=torch.float32).to(self.X)}

    def to(self, device, dtype, *, copy=False):
        X, y = (v.to(device, dtype, copy=copy) for v in (self.X, self.y))
        return type(self)(X, y, self.name)

    def reference(self):
        return None

    def evaluate(self, parameters):
        whole = self.to("cpu", torch.float64)
        point = {k: v.detach().to("cpu", torch.float64) for k, v in parameters.items()}
        loss, slopes = loss_and_gradient(whole, point)
        norm = math.sqrt(sum(float(v.square().sum()) for v in slopes.values()))
        return ol.Evaluation(loss.item(), math.nan, norm, math.nan)


class Broadcast(NoGradient):
    """Targets of shape (n, 1) less predictions of shape (n,)."""

    def errors(self, parameters, batch):
        X, y, _ = batch or self.data
        return X @ parameters["w"] - y[:, None]


class SumLoss(NoGradient):
    def loss(self, parameters, batch=None):
        return self.errors(parameters, batch).square().sum()


class OverAllRows(NoGradient):
    """Divides the sum over a batch by the number of all rows."""

    def loss(self, parameters, batch=None):
        return self.errors(parameters, batch).square().sum() / len(self.y)


class LastRowDropped(NoGradient):
    def loss(self, parameters, batch=None):
        errors = self.errors(parameters, batch)
        return errors[: max(1, len(errors) - 1)].square().mean()


class WeightedByPosition(NoGradient):
    """Weighs rows by their place in the batch."""

    def loss(self, parameters, batch=None):
        squares = self.errors(parameters, batch).square()
        weight = torch.linspace(0.5, 1.5, len(squares), dtype=squares.dtype)
        return (weight * squares).mean() if len(squares) > 1 else squares.mean()


class Detached(NoGradient):
    """A part of the loss is cut off from autograd."""

    def loss(self, parameters, batch=None):
        errors = self.errors(parameters, batch)
        return (errors * errors.detach()).mean()


class Cut(NoGradient):
    def loss(self, parameters, batch=None):
        return torch.tensor(super().loss(parameters, batch).item(), dtype=self.X.dtype)

    def evaluate(self, parameters):
        return ol.Evaluation(self.to("cpu", torch.float64).loss(
            {k: v.double() for k, v in parameters.items()}).item(), *3 * [math.nan])  # fmt: skip


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, errors):
        ctx.save_for_backward(errors)
        return errors.square()

    @staticmethod
    def backward(ctx, slope):
        (errors,) = ctx.saved_tensors
        return slope * errors  # 2 errors is right


class WrongBackward(NoGradient):
    def loss(self, parameters, batch=None):
        return _Halved.apply(self.errors(parameters, batch)).mean()


class Shaped(NoGradient):
    def loss(self, parameters, batch=None):
        return super().loss(parameters, batch).reshape(1)


class PenaltyOnAllRows(NoGradient):
    """Has its penalty where no batch is given, and none where one is."""

    def loss(self, parameters, batch=None):
        penalty = 0.1 * parameters["w"].square().sum() if batch is None else 0.0
        return super().loss(parameters, batch) + penalty


class DoubleConstant(NoGradient):
    """A constant in float64, which makes float64 of float32."""

    def loss(self, parameters, batch=None):
        factor = torch.tensor([1.0, 1.0], dtype=torch.float64)
        return super().loss(parameters, batch) + 0.1 * (factor * parameters["w"]).square().sum()


class Nameless(NoGradient):
    def __init__(self, X=X, y=y, name=7):
        super().__init__(X, y, name)


class WrongNames(NoGradient):
    feature_names = 3


class GlobalStart(NoGradient):
    def start(self, generator):
        return {"w": torch.randn(D, dtype=torch.float32).to(self.X)}


class StartOfDtype(NoGradient):
    def start(self, generator):
        return {"w": torch.rand(D, generator=generator, dtype=self.X.dtype)}


class KeptStart(NoGradient):
    def start(self, generator):
        torch.randn(D, generator=generator)
        return {"w": vars(self).setdefault("_start", torch.ones(D).to(self.X))}


class DefaultDtype(NoGradient):
    """A constant in torch's default dtype."""

    def loss(self, parameters, batch=None):
        return super().loss(parameters, batch) + torch.tensor([0.1]).sum()


class SharedCopy(NoGradient):
    def to(self, device, dtype, *, copy=False):
        return type(self)(self.X.to(device, dtype), self.y.to(device, dtype), self.name)


class Renamed(NoGradient):
    def to(self, device, dtype, *, copy=False):
        moved = super().to(device, dtype, copy=copy)
        moved.name += " copy"
        return moved


class MovedInPlace(NoGradient):
    """Converts itself, as a torch module does."""

    def to(self, device, dtype, *, copy=False):
        moved = super().to(device, dtype, copy=copy)
        self.X, self.y = self.X.to(dtype), self.y.to(dtype)
        return moved


class EvaluatedInSingle(NoGradient):
    def evaluate(self, parameters):
        single = self.to("cpu", torch.float32)
        loss = single.loss({k: v.float() for k, v in parameters.items()}).item()
        return ol.Evaluation(loss, *3 * [math.nan])


class WrongNorm(NoGradient):
    def evaluate(self, parameters):
        judged = super().evaluate(parameters)
        return judged._replace(gradient_norm=judged.gradient_norm**2)


class UnsaidMeasure(NoGradient):
    measures = ("accuracy",)


class CalledDifferently(NoGradient):
    """Is another problem after each call."""

    def loss(self, parameters, batch=None):
        self.calls = getattr(self, "calls", 0) + 1
        return super().loss(parameters, batch)


class Negative(NoGradient):
    """A reference that is no minimum."""

    def reference(self):
        return ol.Reference(kind="certified", loss=1e6, bound=0.0, message="a guess")


class WrongGap(ol.LinearRegression):
    def evaluate(self, parameters):
        judged = super().evaluate(parameters)
        return judged._replace(suboptimality=judged.suboptimality / 2)


class Lasso(NoGradient):
    """Has kinks and does not say so."""

    def loss(self, parameters, batch=None):
        return super().loss(parameters, batch) + parameters["w"].abs().sum()


class Quartic(NoGradient):
    is_quadratic = True

    def loss(self, parameters, batch=None):
        return super().loss(parameters, batch).square()


class WrongCurvature(ol.LinearRegression):
    def hessian_product(self, parameters, direction, batch=None):
        found = super().hessian_product(parameters, direction, batch)
        return found | {"weight": found["weight"] - self.l2 * direction["weight"]}


class WrongResiduals(ol.LinearRegression):
    def residuals(self, parameters):
        return super().residuals(parameters)[:N]


class WrongJacobian(ol.LinearRegression):
    def jacobian(self, parameters):
        return super().jacobian(parameters) * torch.tensor([1.0, 1.0, -1.0])


class WrongSystem(ol.LinearRegression):
    """Forgets the penalty's rows."""

    def as_least_squares(self):
        A, b, back = super().as_least_squares()
        return type(super().as_least_squares())(A[:N], b[:N], back)


class StepForgotten(ol.LinearRegression):
    def proximal(self, parameters, step):
        return super().proximal(parameters, 1.0)


class WrongSmoothGradient(ol.LinearRegression):
    def smooth_gradient(self, parameters, batch=None):
        return self.gradient(parameters, batch)


class SmallConstant(ol.LinearRegression):
    def lipschitz(self):
        return super().lipschitz() / 2


class WrongConstant(ol.LinearRegression):
    def constant_fit(self):
        return {"weight": torch.zeros(D).double(), "bias": self.y.double().median()}


@dataclass(frozen=True)
class Planted:
    """A fault, the check that names it, and a part of its message."""

    cls: type
    check: str
    words: str
    options: dict

    def problem(self):
        if issubclass(self.cls, ol.LinearRegression):
            return linear(self.cls, **self.options)
        return self.cls()


def _planted(cls, check, words, **options):
    return Planted(cls, check, words, options)


GRADIENTS = [
    _planted(WrongSign, "closed form", "the sign is wrong"),
    _planted(FactorTwo, "closed form", "every entry is 0.5 times"),
    _planted(SumGradient, "closed form", "a sum over the 8 rows, not a mean"),
    _planted(NominalBatchSize, "batch average", "by the closed form, for batches of 5, 3 rows"),
    _planted(PenaltyForgotten, "closed form", "weight is off by -0.1 times the parameter"),
    _planted(OneComponent, "closed form", "1 of 3 entries differ"),
    _planted(AlmostRight, "closed form", "3 of 3 entries differ"),
    _planted(WeightsForgotten, "closed form", "off by", sample_weight=WEIGHT),
    _planted(SingleGradient, "closed form", "a part is computed in float32"),
    _planted(SingleLoss, "double precision", "a part is computed in float32"),
    _planted(Stale, "no memory", "computed at an earlier point"),
    _planted(OneBuffer, "no memory", "of an earlier gradient changed with the next call"),
    _planted(KeyMissing, "gradient shapes", "['weight'], for the parameters ['weight', 'bias']"),
    _planted(ColumnGradient, "gradient shapes", "weight of shape (2, 1)"),
    _planted(DataChanged, "inputs", "gradient leaves the parameters, the batch and the data"),
    _planted(ParametersChanged, "inputs", "parameter weight[0] was"),
    _planted(Viewed, "memory layout", "use reshape()"),
    _planted(LossOfStrides, "memory layout", "for contiguous tensors, at"),
    _planted(GradientOfStrides, "memory layout", "entries differ, at"),
    _planted(Broadcast, "broadcasting", "the mean over all 64 pairs of a row and a target"),
    _planted(SumLoss, "mean", "a sum over the rows"),
    _planted(OverAllRows, "mean", "by another number than the batch's rows"),
    _planted(LastRowDropped, "batch average", "for batches of 5, 3 rows"),
    _planted(WeightedByPosition, "batch average", "for batches of 5, 3 rows"),
    _planted(Detached, "central differences", "by autograd"),
    _planted(Cut, "central differences", "item(), detach(), numpy or torch.no_grad()"),
    _planted(WrongBackward, "Taylor remainder", "order 1.0"),
    _planted(PenaltyOnAllRows, "all rows", "a batch of all rows"),
    _planted(DoubleConstant, "single precision", "loss in torch.float64"),
    _planted(Shaped, "value", "a tensor of shape (1,)"),
]
"""Faults that `check_gradient` finds."""

PROBLEMS = [
    _planted(Nameless, "protocol", "name of Nameless must be text"),
    _planted(WrongNames, "summary", "raised TypeError"),
    _planted(GlobalStart, "start", "torch's global generator was used"),
    _planted(StartOfDtype, "start", "draw in float32 for every dtype"),
    _planted(KeptStart, "start", "return a clone"),
    _planted(DefaultDtype, "torch's defaults", "default float32"),
    _planted(SharedCopy, "copies", "in the memory of the problem's own"),
    _planted(Renamed, "copies", "the name 'own copy'"),
    _planted(MovedInPlace, "copies", "problems are immutable"),
    _planted(EvaluatedInSingle, "evaluation", "converts the point or the data to float32"),
    _planted(WrongNorm, "evaluation", "gradient norm"),
    _planted(UnsaidMeasure, "evaluation", "('accuracy',)"),
    _planted(CalledDifferently, "pickle", "another content hash after loss"),
    _planted(Negative, "reference", "no point has a loss below the reference's"),
    _planted(WrongGap, "suboptimality", "where the losses differ by"),
    _planted(Lasso, "smooth and quadratic", "is_smooth = False"),
    _planted(Quartic, "smooth and quadratic", "g(x) + g(y) - 2 g((x + y) / 2)"),
    _planted(WrongCurvature, "Hessian product", "weight is off by -0.1 times the direction"),
    _planted(WrongResiduals, "residuals", "the mean square of the residuals is the loss"),
    _planted(WrongJacobian, "residuals", "the Jacobian of the residuals is autograd's"),
    _planted(WrongSystem, "least squares", "the penalty's rows"),
    _planted(StepForgotten, "proximal", "the step's factor is left out", l1=0.05),
    _planted(WrongSmoothGradient, "smooth gradient", "times its sign", l1=0.05),
    _planted(SmallConstant, "Lipschitz constant", "gradients differ by at most lipschitz()"),
    _planted(WrongConstant, "constant fit", "no constant prediction is better"),
    _planted(DataChanged, "immutable", "an operation in place"),
]
"""Faults that `check_problem` finds beside those."""
