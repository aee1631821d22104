"""A zoo of wrong optimizers: each has one fault, and names the check that must catch it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import optlab as ol
from optlab.problems.capabilities import loss_and_gradient
from optlab.problems.vector import flatten, unflatten


@dataclass(frozen=True)
class Fault:
    """One wrong optimizer, the check that names its fault, and what the message must say of it."""

    make: Callable[[], Any]
    check: str
    says: str = ""
    level: str = "quick"
    reference: Any = None


ZOO: dict[str, Fault] = {}


def zoo(name: str, check: str, says: str = "", **options: Any) -> Callable[[Any], Any]:
    def add(make: Any) -> Any:
        ZOO[name] = Fault(make, check, says, **options)
        return make

    return add


@dataclass(frozen=True)
class Descent:
    """A right SGD by the problem's gradient, with places at which faults are put in."""

    learning_rate: float = 0.1
    uses_batches = True

    def __post_init__(self):
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be positive and finite, not {self.learning_rate}")

    def iterates(self, problem, batches, start):
        w, t = flatten(start).detach(), 0
        state = self.begin(w)
        for epoch, rows in enumerate(self.epochs(batches)):
            for batch in rows:
                t += 1
                loss, g = self.slope(problem, unflatten(w, start), self.seen(batch, batches))
                w = self.step(w, flatten(g), state, t, batch, batches)
            yield from self.report(unflatten(w, start), loss, epoch, problem, batch)

    def begin(self, w):
        return {}

    def epochs(self, batches):
        return batches

    def seen(self, batch, batches):
        return batch

    def slope(self, problem, parameters, batch):
        return loss_and_gradient(problem, parameters, batch)

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g

    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss)


DESCENDS = "the first step descends"
RULE = "follows its rule"
SGD = ol.SGD(0.1)


@zoo("the wrong sign", DESCENDS)
class Ascent(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w + self.learning_rate * g


@zoo("climbs on its first five steps", DESCENDS)
class Warms(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 if t > 5 else -1)


@zoo("half the gradient", RULE, "without its factor 2", reference=SGD)
class Half(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g / 2


@zoo("a step twice as long", RULE, "twice as long", reference=SGD)
class Double(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * 2 * g


@zoo("the sum for the mean", "gradients are means not sums")
class Sum(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * len(batch.y)


@zoo("the nominal batch size for the short batch", "the short last batch counts by its rows")
class Nominal(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * len(batch.y) / batches.rows_a_step


@zoo("the mean of the batches' means", RULE, reference=SGD)
class EpochMean(Descent):
    def begin(self, w):
        return {"sum": torch.zeros_like(w)}

    def step(self, w, g, state, t, batch, batches):
        state["sum"] += g / batches.steps
        if t % batches.steps:
            return w
        total, state["sum"] = state["sum"], torch.zeros_like(w)
        return w - self.learning_rate * total


@dataclass(frozen=True)
class Tutorial:
    """The tutorial's loop by autograd, with or without resetting gradients."""

    learning_rate: float = 0.01
    reset: str = "never"
    uses_batches = True

    def __post_init__(self):
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError("learning_rate must be positive and finite")

    def iterates(self, problem, batches, start):
        parameters = {name: value.requires_grad_() for name, value in start.items()}
        for epoch in batches:
            for batch in epoch:
                loss = problem.loss(parameters, batch)
                loss.backward()
                with torch.no_grad():
                    for value in parameters.values():
                        value.sub_(self.learning_rate * value.grad)
            if self.reset == "each epoch":
                for value in parameters.values():
                    value.grad.zero_()
            yield ol.Iterate(parameters, loss.detach())


zoo("no zero_", "gradients are reset between steps")(Tutorial)
zoo("zero_ once an epoch", "gradients are reset between steps")(
    lambda: Tutorial(reset="each epoch")
)


@zoo("the bias is never updated", "every parameter is updated", "bias")
class NoBias(Descent):
    def step(self, w, g, state, t, batch, batches):
        g = g.clone()
        g[-1] = 0
        return w - self.learning_rate * g


@zoo("one weight is never updated", "every parameter is updated", "weight[1]")
class NoSecond(Descent):
    def step(self, w, g, state, t, batch, batches):
        g = g.clone()
        g[1:2] = 0
        return w - self.learning_rate * g


@zoo("updated for 40 steps only", "every parameter is updated late in the run too")
class Forty(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - (self.learning_rate if t <= 40 else 0) * g


@zoo("the bias is frozen after 40 steps", "every parameter is updated late in the run too", "bias")
class FortyBias(Descent):
    learning_rate: float = 0.01

    def step(self, w, g, state, t, batch, batches):
        g = g.clone()
        g[-1] *= t <= 40
        return w - 0.001 * g


@zoo("the bias is decayed", "stays at the optimum")
class DecayedBias(Descent):
    def step(self, w, g, state, t, batch, batches):
        w = w - self.learning_rate * g
        w[-1] *= 0.999
        return w


@zoo("the bias is decayed, and it claims to be SGD", RULE, "weight decay of the bias",
     reference=SGD)  # fmt: skip
class DecayedBiasClaimed(Descent):
    def step(self, w, g, state, t, batch, batches):
        w = w - self.learning_rate * g
        w[-1] *= 1 - 0.1 * self.learning_rate
        return w


@zoo("all parameters are decayed", "stays at the optimum")
class Decayed(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w * 0.9999 - self.learning_rate * g


@zoo("the learning rate used twice", RULE, "the learning rate used twice", reference=SGD)
class RateTwice(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate**2 * g


SHARED: dict[str, Any] = {}


@zoo("a momentum buffer shared between runs", "no state outlives a run")
class SharedBuffer(Descent):
    def step(self, w, g, state, t, batch, batches):
        SHARED["v"] = 0.5 * SHARED.get("v", torch.zeros(1)).to(g).expand_as(g[:1]) + g[:1]
        return w - self.learning_rate * torch.cat([SHARED["v"], g[1:]])


@zoo("a momentum buffer kept in the object", "no state outlives a run")
@dataclass(frozen=True)
class KeptBuffer(Descent):
    kept: dict = field(default_factory=dict, compare=False, repr=False)

    def step(self, w, g, state, t, batch, batches):
        v = self.kept.get("v")
        self.kept["v"] = g if v is None or v.shape != g.shape else 0.5 * v.to(g) + g
        return w - self.learning_rate * self.kept["v"]


@zoo("a step counter kept in the class", "no state outlives a run")
class Counter(Descent):
    count = 0

    def step(self, w, g, state, t, batch, batches):
        type(self).count += 1
        return w - self.learning_rate / self.count**0.1 * g


@zoo("state of the object that a new run resets", "interleaved runs do not disturb each other")
@dataclass(frozen=True)
class ResetBuffer(Descent):
    kept: dict = field(default_factory=dict, compare=False, repr=False)

    def begin(self, w):
        self.kept["v"] = torch.zeros_like(w)
        return {}

    def step(self, w, g, state, t, batch, batches):
        self.kept["v"] = 0.5 * self.kept["v"] + g
        return w - self.learning_rate * self.kept["v"]


@zoo("a stale gradient", "each step uses the gradient at its own point")
class Stale(Descent):
    def step(self, w, g, state, t, batch, batches):
        last, state["g"] = state.get("g", g), g
        return w - self.learning_rate * last


@zoo("a stale gradient, and it claims to be SGD", RULE, "stale", reference=SGD)
class StaleClaimed(Stale):
    pass


@zoo("changes the data", "data and problem are left as they are", "problem.X")
class ChangesData(Descent):
    def seen(self, batch, batches):
        batches.X.mul_(1.0001)
        return batch


@zoo("centres the full batch in place", "data and problem are left as they are")
class CentresBatch(Descent):
    def seen(self, batch, batches):
        if len(batch.y) == len(batches.y):
            batch.y.sub_(batch.y.mean())
        return batch


@zoo("changes shuffled batches in place", "data and problem are left as they are", "a batch")
class ChangesBatch(Descent):
    def seen(self, batch, batches):
        if len(batch.y) < len(batches.y):
            batch.X.clamp_(-0.5, 0.5)
        return batch


@zoo("changes the problem", "data and problem are left as they are", "l2")
class ChangesProblem(Descent):
    def slope(self, problem, parameters, batch):
        if hasattr(problem, "l2"):
            problem.l2 = 0.1
        return loss_and_gradient(problem, parameters, batch)


@zoo("changes a start that it was given", "no state outlives a run")
@dataclass(frozen=True)
class OwnStart(Descent):
    shift: Any = field(default_factory=lambda: torch.zeros(1).double(), compare=False, repr=False)

    def begin(self, w):
        self.shift.add_(1)
        w += self.shift.to(w) * 1e-3
        return {}


@zoo("float32 inside float64", "float64 is float64")
class Single(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g.float().to(w)


@zoo("parameters through float32", "float64 is float64")
class SingleParameters(Descent):
    def step(self, w, g, state, t, batch, batches):
        return (w.float() - self.learning_rate * g.float()).to(w)


@zoo("float32 second moments", "float64 is float64")
class SingleMoments(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["s"] = state.get("s", 0) + g.float() ** 2
        return w - self.learning_rate * g / (state["s"].to(w).sqrt() + 1e-8)


@zoo("the weight alone through float32", "float64 is float64")
class SingleWeight(Descent):
    def step(self, w, g, state, t, batch, batches):
        moved = w - self.learning_rate * g
        return torch.cat([moved[:-1].float().to(w), moved[-1:]])


@zoo("float64 inside float32", "yields parameters like the start")
class Promotes(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate({name: value.double() for name, value in parameters.items()}, loss)


@zoo("noise of the global generator", "the global random state makes no difference")
class GlobalNoise(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + 0.01 * torch.rand(1).to(w))


@zoo("noise of numpy's global generator", "the global random state makes no difference")
class NumpyNoise(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + 0.01 * np.random.rand())  # noqa: NPY002 - the fault


@zoo("noise of Python's global generator", "the global random state makes no difference")
class PythonNoise(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + 0.01 * random.random())


@zoo("seeds the global generator", "settings of the process are left as they are", "torch's global")
class Seeds(Descent):
    def begin(self, w):
        torch.manual_seed(17)
        return {}


@zoo("sets the threads", "settings of the process are left as they are", "threads")
class SetsThreads(Descent):
    def begin(self, w):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return {}


SETTINGS = "settings of the process are left as they are"


@zoo("leaves torch's grad mode off", SETTINGS, "grad mode")
class GradOff(Descent):
    def begin(self, w):
        torch.set_grad_enabled(False)
        return {}


@zoo(
    "a no_grad block that stays open over a yield", SETTINGS, "a `with` block is open over a yield"
)
class OpenBlock(Descent):
    def iterates(self, problem, batches, start):
        with torch.no_grad():
            yield from super().iterates(problem, batches, start)


@zoo("asks torch for deterministic algorithms", SETTINGS, "deterministic")
class Deterministic(Descent):
    def begin(self, w):
        torch.use_deterministic_algorithms(True)
        return {}


@zoo("divides by the threads", "the number of threads makes no difference")
class Threads(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g / torch.get_num_threads()


@zoo("a rate in the default dtype", "the default dtype makes no difference")
class DefaultDtype(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - torch.tensor(self.learning_rate).to(w) * g


@zoo("drops the last batch", "every row counts")
class DropsLast(Descent):
    def epochs(self, batches):
        return ([*rows][: max(1, batches.steps - 1)] for rows in batches)


@zoo("skips every seventh batch", "every row of a pass is used once", "gradients by row")
class SkipsSeventh(Descent):
    def epochs(self, batches):
        return ([batch for i, batch in enumerate(rows) if i % 7 != 6] for rows in batches)


@zoo("uses half of each batch", "every row counts")
class HalfBatch(Descent):
    def seen(self, batch, batches):
        half = max(1, len(batch.y) // 2)
        return ol.Batch(*(None if part is None else part[:half] for part in batch))


@zoo("visits the batches twice", "every row of a pass is used once")
class Twice(Descent):
    def epochs(self, batches):
        return ([batch for batch in rows for _ in range(2)] for rows in batches)


@zoo("ignores the order", "the order of batches is respected")
class IgnoresOrder(Descent):
    def epochs(self, batches):
        own = ol.Batches(
            batches.X, batches.y, batches.batch_size, batches.generator, shuffle=False,
            drop_last=batches.drop_last, weight=batches.weight,
        )  # fmt: skip
        for _ in batches:
            yield next(iter(own))


@zoo("visits the batches backwards", "the batches of a pass are visited one after the other")
class Backwards(Descent):
    def epochs(self, batches):
        return (reversed([*rows]) for rows in batches)


@zoo("the full gradient for every batch", "only rows of the batch count")
class FullGradient(Descent):
    def seen(self, batch, batches):
        return ol.Batch(batches.X, batches.y, batches.weight)


@zoo("rows one by one in a full batch", "a full batch is indifferent to row order")
class OneByOne(Descent):
    def epochs(self, batches):
        for rows in batches:
            yield (
                ol.Batch(*(None if part is None else part[i : i + 1] for part in batch))
                for batch in rows
                for i in range(len(batch.y))
            )


@zoo("Nesterov mixed with heavy ball", RULE, "nesterov in place of heavy ball",
     reference=ol.HeavyBall(0.1, momentum=0.5))  # fmt: skip
class NotHeavyBall(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["v"] = 0.5 * state.get("v", 0) + g
        return w - self.learning_rate * (g + 0.5 * state["v"])


@zoo("heavy ball mixed with Nesterov", RULE, "heavy ball in place of nesterov",
     reference=ol.Nesterov(0.1, momentum=0.5))  # fmt: skip
class NotNesterov(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["v"] = 0.5 * state.get("v", 0) + g
        return w - self.learning_rate * state["v"]


@zoo("a dampened heavy ball", RULE, "dampened", reference=ol.HeavyBall(0.1, momentum=0.5))
class Dampened(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["v"] = 0.5 * state.get("v", 0) + 0.5 * g
        return w - self.learning_rate * state["v"]


@zoo("momentum twice after the third epoch", RULE, "after epoch 5",
     reference=ol.HeavyBall(0.1, momentum=0.5))  # fmt: skip
class TwiceLate(Descent):
    def step(self, w, g, state, t, batch, batches):
        for _ in range(1 + (t > 4 * batches.steps)):
            state["v"] = 0.5 * state.get("v", 0) + g
        return w - self.learning_rate * state["v"]


@zoo("a velocity that each epoch forgets", RULE, "made anew in each epoch",
     reference=ol.HeavyBall(0.1, momentum=0.5))  # fmt: skip
class Forgets(Descent):
    def step(self, w, g, state, t, batch, batches):
        first = (t - 1) % batches.steps == 0
        state["v"] = g if first else 0.5 * state["v"] + g
        return w - self.learning_rate * state["v"]


ADAM = ol.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=0.1)


@dataclass(frozen=True)
class WrongAdam(Descent):
    kind: str = ""
    decay: float = 0.0

    def step(self, w, g, state, t, batch, batches):
        kind = self.kind
        g = g + self.decay * w
        m = state["m"] = 0.5 * state.get("m", 0) + 0.5 * g
        square = g.abs() if kind == "not squared" else g * g
        v = state["v"] = 0.9 * state.get("v", 0) + 0.1 * square
        s = t + (kind == "late")
        bias1, bias2 = 1 - 0.5**s, 1 - 0.9**s
        if kind == "none":
            bias1 = bias2 = 1
        if kind == "first only":
            bias2 = 1
        if kind == "inside":
            return w - self.learning_rate * m / bias1 / (v / bias2 + 0.1).sqrt()
        if kind == "beside":
            return w - self.learning_rate * m / bias1 * bias2**0.5 / (v.sqrt() + 0.1)
        if kind == "no root":
            return w - self.learning_rate * m / bias1 / (v / bias2 + 0.1)
        return w - self.learning_rate * m / bias1 / ((v / bias2).sqrt() + 0.1)


for _kind, _says in {
    "inside": "epsilon inside the root",
    "beside": "epsilon beside the root without its bias correction",
    "none": "no bias correction",
    "first only": "of the first moment only",
    "late": "off by one step (t + 1)",
    "no root": "no root of the second moment",
}.items():
    zoo(f"Adam: {_says}", RULE, _says, reference=ADAM)(lambda kind=_kind: WrongAdam(kind=kind))
zoo("Adam: a second moment of sizes", RULE, reference=ADAM)(lambda: WrongAdam(kind="not squared"))
zoo("AdamW: a coupled decay", RULE, "coupled decay",
    reference=ol.AdamW(0.1, beta1=0.5, beta2=0.9, epsilon=0.1, weight_decay=0.1))(
    lambda: WrongAdam(decay=0.1)
)  # fmt: skip


@zoo("RMSprop: epsilon inside the root", RULE, "epsilon inside the root",
     reference=ol.RMSprop(0.1, decay=0.9, epsilon=0.1))  # fmt: skip
class WrongRMSprop(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["s"] = 0.9 * state.get("s", 0) + 0.1 * g * g
        return w - self.learning_rate * g / (state["s"] + 0.1).sqrt()


@zoo("AdaGrad without its root", RULE, "no root", reference=ol.AdaGrad(0.1, epsilon=0.1))
class WrongAdaGrad(Descent):
    def step(self, w, g, state, t, batch, batches):
        state["s"] = state.get("s", 0) + g * g
        return w - self.learning_rate * g / (state["s"] + 0.1)


@zoo("Lion: the momentum before the sign", RULE, "mixed with the new momentum",
     reference=ol.Lion(0.01))  # fmt: skip
class WrongLion(Descent):
    learning_rate: float = 0.01

    def step(self, w, g, state, t, batch, batches):
        m = state["m"] = 0.99 * state.get("m", 0) + 0.01 * g
        return w - 0.01 * (0.9 * m + 0.1 * g).sign()


@zoo("a division by zero at the optimum", "stays at the optimum")
class NormalisedGradient(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g / g.norm()


@zoo("NaN swallowed", "what is not a number is passed on")
class SwallowsNaN(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g.nan_to_num(0.01)


@zoo("a step that NaN skips, and decay that goes on", "what is not a number is passed on")
class SkipsNaN(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * (g if g.isfinite().all() else 0.01 * w)


@zoo("errors swallowed", "an error of the problem is passed on", "swallowed")
class SwallowsErrors(Descent):
    def slope(self, problem, parameters, batch):
        try:
            return super().slope(problem, parameters, batch)
        except RuntimeError:
            zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
            return torch.zeros(()), zeros


@zoo(
    "the loss after the update", "the batch loss is the loss before the update", "after the update"
)
class LossAfter(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, problem.loss(parameters, batch).detach())


@zoo("the loss of all rows", "the batch loss is that of the last batch")
class LossOfAll(Descent):
    def slope(self, problem, parameters, batch):
        return problem.loss(parameters).detach(), ol.gradient(problem, parameters, batch)


@zoo("the loss summed", "the batch loss is the loss before the update")
class LossSummed(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss * len(batch.y))


@zoo("a batch loss with a graph", "yields parameters like the start")
class LossGraph(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        point = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        yield ol.Iterate(parameters, problem.loss(point, batch))


@zoo("yields the start first", "yields after each pass and counts it", "is the start")
class YieldsEarly(Descent):
    def iterates(self, problem, batches, start):
        yield ol.Iterate({name: value.clone() for name, value in start.items()})
        yield from super().iterates(problem, batches, start)


@zoo(
    "yields after two passes",
    "yields after each pass and counts it",
    "iterate 1 stands for 1 passes of 3 batches",
)
class YieldsLate(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        if epoch % 2:
            yield ol.Iterate(parameters, loss)


@zoo("counts two passes for one", "yields after each pass and counts it")
class CountsTwo(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss, epochs=2)


@zoo("yields after each batch", "yields after each pass and counts it")
class YieldsEachBatch(Descent):
    def iterates(self, problem, batches, start):
        for epoch in batches:
            for batch in epoch:
                loss, slope = loss_and_gradient(problem, start, batch)
                start = {k: v - self.learning_rate * slope[k] for k, v in start.items()}
                yield ol.Iterate(start, loss)


@zoo("ends after 10 passes", "yields as often as it says")
class EndsEarly(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        if epoch >= 10:
            return
        yield ol.Iterate(parameters, loss)

    def epochs(self, batches):
        for _, rows in zip(range(10), batches, strict=False):
            yield rows


@zoo("yields nothing", "yields as often as it says", "none")
class YieldsNothing(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        return iter(())

    def epochs(self, batches):
        return iter(())


@zoo("begins at zero", "begins at the start")
class BeginsAtZero(Descent):
    def iterates(self, problem, batches, start):
        zero = {name: torch.zeros_like(value) for name, value in start.items()}
        return super().iterates(problem, batches, zero)


@zoo("takes a bias for granted", "fits without an intercept")
class WantsBias(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate({"weight": parameters["weight"], "bias": parameters["bias"]}, loss)


@zoo("another rate where nobody looks", "recording changes nothing")
class Looks(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 if batches.looks else 1.5)


@zoo("takes any learning rate", "refuses bad hyperparameters", "learning_rate=-0.1")
class TakesAnyRate(Descent):
    def __post_init__(self):
        pass


@zoo("a gradient in closed form that it does not ask for", "needs are honest", "a loss alone")
class Dishonest(Descent):
    def slope(self, problem, parameters, batch):
        return problem.loss(parameters, batch).detach(), problem.gradient(parameters, batch)


@zoo("an unsupported that says True", "needs are honest", "a sentence")
class SaysTrue(Descent):
    def unsupported(self, problem, device):
        return None if isinstance(problem, ol.LinearRegression) else True


@zoo(
    "gradients that are not counted",
    "the cost counts every evaluation",
    "the cost is left out, which says 3 gradients",
)
class Uncounted(Descent):
    def slope(self, problem, parameters, batch):
        ol.gradient(problem, parameters, batch)
        return loss_and_gradient(problem, parameters, batch)


@zoo("row weights forgotten", "weights of rows count", level="full")
class ForgetsWeights(Descent):
    def slope(self, problem, parameters, batch):
        return loss_and_gradient(problem, parameters, batch)

    def seen(self, batch, batches):
        return batch if batch.weight is None else batch._replace(weight=torch.ones_like(batch.y))


@zoo("an invariance that it has not", "invariance to rotation", level="full")
class SignDescent(Descent):
    invariances = ("rotation",)

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g / (1 + g.abs())


class Claims(Descent):
    """A descent whose direction is a function, and which claims an invariance."""

    def __init__(self, name, direction):
        object.__setattr__(self, "invariances", (name,))
        object.__setattr__(self, "direction", direction)

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * self.direction(g, w)


for _name, _direction in {
    "order of columns": lambda g, w: g / (1 + torch.arange(len(g)).to(g)),
    "translation": lambda g, w: g + 0.01 * w,
    "sign": lambda g, w: g.clamp(min=-0.1),
    "scale of the target": lambda g, w: g * min(1.0, 0.1 / float(g.norm())),
    "scale of the loss": lambda g, w: g,
    "scale of columns": lambda g, w: g,
}.items():
    zoo(f"no invariance to {_name}", f"invariance to {_name}", level="full")(
        lambda name=_name, direction=_direction: Claims(name, direction)
    )


@zoo("comes to rest elsewhere", "iterates reach the reference or still descend", level="full")
class Rests(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * 0.7**t * g


class Closed:
    uses_batches = False

    def __init__(self, kind):
        self.kind = kind

    def unsupported(self, problem, device):
        linear = isinstance(problem, ol.LinearRegression) and not problem.l1 and not problem.l2
        return None if linear else "for plain linear regression only"

    def iterates(self, problem, batches, start):
        X, y, _ = problem.data
        ones = [X.new_ones(len(y), 1)] * problem.fit_intercept
        A = torch.cat([X, *ones], 1)
        if self.kind == "small ridge":
            G = A.T @ A + 1e-4 * torch.eye(A.shape[1], dtype=A.dtype)
            w = torch.linalg.solve(G, A.T @ y)
        elif self.kind == "one row less":
            w = torch.linalg.lstsq(A[:-1], y[:-1, None], driver="gelsd").solution[:, 0]
        else:
            w = torch.linalg.lstsq(A, y[:, None], driver="gelsd").solution[:, 0]
        if self.kind == "bias of means":
            w = torch.cat([w[:-1], (y.mean() - 0.999 * X.mean(0) @ w[:-1])[None]])
        yield ol.Iterate(unflatten(w, start))
        if self.kind == "twice":
            yield ol.Iterate(unflatten(w, start))


SOLVES = "a direct method solves the problem"
zoo("a closed form with a small ridge", SOLVES)(lambda: Closed("small ridge"))
zoo("a closed form of one row less", SOLVES)(lambda: Closed("one row less"))
zoo("a closed form with a rough bias", SOLVES)(lambda: Closed("bias of means"))
zoo("a direct method that yields twice", "yields as often as it says")(lambda: Closed("twice"))


class TorchHalf(torch.optim.SGD):
    """A torch optimizer that climbs."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = -abs(group["lr"])
        return super().step(closure)


zoo("a torch optimizer that climbs", DESCENDS)(lambda: lambda params: TorchHalf(params, lr=0.1))


class NoUsesBatches:
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)


@zoo("needs that are no capabilities", "has the members of the protocol", "needs=(None,)")
class NeedsNone(Descent):
    needs = (None,)


zoo("no uses_batches", "has the members of the protocol", "uses_batches=None")(NoUsesBatches)


@zoo("cannot be pickled", "is the same after pickling", "TypeError")
@dataclass(frozen=True)
class HoldsLock(Descent):
    lock: Any = field(default_factory=threading.Lock, compare=False, repr=False)


@zoo("changes its own rate", "hyperparameters are left as they are", "0.05")
class ChangesRate(Descent):
    def begin(self, w):
        object.__setattr__(self, "learning_rate", 0.05)
        return {}


@zoo("noise of the system", "the same seed gives the same bits")
class SystemNoise(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + random.SystemRandom().random() / 100)


@zoo("the same first batch for every seed", "another order of batches gives another iterate")
class SortsRows(Descent):
    def epochs(self, batches):
        for rows in batches:
            for _ in rows:
                pass
            order = batches.y.argsort()
            parts = [part[order] for part in (batches.X, batches.y)]
            yield map(ol.Batch, *(part.split(batches.rows_a_step) for part in parts))


@zoo("too long a step", "iterates go down", "2 / L")
class TooLong(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - 2.0 * g


@zoo("bfloat16 inside float32", "float32 agrees with float64", level="full")
class Brain(Descent):
    def step(self, w, g, state, t, batch, batches):
        g = g.bfloat16().to(w) if w.dtype == torch.float32 else g
        return w - self.learning_rate * g


@zoo("squared error only, and does not say so", "every kind of problem runs or is refused",
     level="full")  # fmt: skip
class SquaredOnly(Descent):
    def unsupported(self, problem, device):
        return None if hasattr(problem, "loss_function") else "for linear models only"

    def slope(self, problem, parameters, batch):
        assert hasattr(problem.loss_function, "delta") is False
        return loss_and_gradient(problem, parameters, batch)


@zoo("another rate than it says", "each mode contracts as theory says", level="full")
class OtherTheory(Descent):
    def linear_descent(self):
        return ol.SGD(0.11).linear_descent()


@zoo("a bias of small batches", "the mean loss is the exact expectation", reference=ol.SGD(0.1),
     level="statistical")  # fmt: skip
class Biased(Descent):
    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 if len(batch.y) == len(batches.y) else 1.5)


def right_descent() -> Descent:
    """Return the descent without a fault."""
    return Descent()
