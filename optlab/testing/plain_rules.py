"""First-order rules written plainly in numpy, to hold optimizers against, and known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

Vector: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Direction: TypeAlias = Callable[[Vector, Vector, int], Vector]
"""The direction of step t = 1, 2, ... from a gradient and the parameters; it keeps its state."""
Rows: TypeAlias = tuple[Vector, Vector]
"""X ``(B, d)`` and y ``(B,)`` of a mini-batch."""


@dataclass(frozen=True)
class PlainRule:
    r"""A first-order rule :math:`w_t = w_{t-1} - \eta(e) d_t`, recomputed in plain numpy.

    Parameters
    ----------
    name
        Its name, with the settings.
    make
        A function that begins a run: it returns the direction as a function of gradient,
        parameters and step.
    rate
        The learning rate at an epoch, a fraction within one.
    mistakes
        The directions of wrong versions, by what is wrong with them.

    Examples
    --------
    >>> rule = sgd(0.5)
    >>> X, y = np.array([[1.0], [2.0]]), np.array([1.0, 2.0])
    >>> [w.tolist() for w in rule.descend([[(X, y)]], np.zeros(1), intercept=False)]
    [[2.5]]
    """

    name: str
    make: Callable[[], Direction]
    rate: Callable[[float], float]
    mistakes: tuple[tuple[str, Callable[[], Direction]], ...] = ()

    def descend(
        self,
        epochs: Sequence[Sequence[Rows]],
        w: Vector,
        *,
        intercept: bool = True,
        mistake: Mistake | None = None,
    ) -> list[Vector]:
        """Return the parameters after each epoch on the mean squared error, ``(d,)`` and the bias.

        Parameters
        ----------
        epochs
            The mini-batches of each epoch.
        w
            The start, the bias last.
        intercept
            Whether there is a bias.
        mistake
            What is done wrong, if anything is.
        """
        wrong = mistake or Mistake("")
        direction, found, t = self.make(), [], 0
        size = max(len(y) for _, y in epochs[0])
        last = sums = np.zeros_like(w)
        for rows in epochs:
            if wrong.forgets:
                direction, t = self.make(), 0
            for i, (X, y) in enumerate(rows):
                t += 1
                X = np.c_[X, np.ones(len(y))] if intercept else X  # noqa: PLW2901 - with its column
                g = wrong.scale(len(y), size) * 2 * X.T @ (X @ w - y) / len(y)
                sums = sums + g
                taken = sums if wrong.adds_up else last if wrong.is_stale and t > 1 else g
                last = g
                rate = self.rate((t - 1) / len(rows) if not wrong.forgets else i / len(rows))
                w = w - wrong.rate(rate) * direction(taken, w, t)
                if wrong.decay and intercept:
                    w = np.r_[w[:-1], w[-1] * (1 - rate * wrong.decay)]
            found.append(w)
        return found


@dataclass(frozen=True)
class Mistake:
    """A mistake of the loop around a rule."""

    name: str
    scale: Callable[[int, int], float] = lambda rows, size: 1.0
    rate: Callable[[float], float] = lambda rate: rate
    adds_up: bool = False
    is_stale: bool = False
    forgets: bool = False
    decay: float = 0.0


LOOP_MISTAKES = (
    Mistake("the sign of the gradient", lambda rows, size: -1.0),
    Mistake("the gradient without its factor 2", lambda rows, size: 0.5),
    Mistake("a step twice as long", rate=lambda rate: 2 * rate),
    Mistake("the gradient's sum in place of its mean", lambda rows, size: float(rows)),
    Mistake("the nominal batch size for the short batch", lambda rows, size: rows / size),
    Mistake("the learning rate used twice", rate=lambda rate: rate * rate),
    Mistake("gradients that add up (no zero_)", adds_up=True),
    Mistake("the gradient of the step before (stale)", is_stale=True),
    Mistake("a state that is made anew in each epoch", forgets=True),
    Mistake("weight decay of the bias, 0.01", decay=0.01),
    Mistake("weight decay of the bias, 0.1", decay=0.1),
)


def explained(
    rule: PlainRule, epochs: Sequence[Sequence[Rows]], start: Vector, seen: Vector, bound: float
) -> str | None:
    """Return the known mistake that gives the numbers seen after the epochs, or None."""
    scale = max(1.0, float(np.abs(seen).max()))
    for name, wrong, mistake in _versions(rule):
        with np.errstate(all="ignore"):
            made = wrong.descend(epochs, start, intercept=True, mistake=mistake)[-1]
        if np.abs(made - seen).max() <= bound * scale:
            return name
    return None


def _versions(rule: PlainRule) -> Iterator[tuple[str, PlainRule, Mistake | None]]:
    for name, make in rule.mistakes:
        yield name, replace(rule, make=make), None
    for mistake in LOOP_MISTAKES:
        yield mistake.name, rule, mistake


def _schedule(rate: Any) -> Callable[[float], float]:
    return (lambda epoch: float(rate(epoch))) if callable(rate) else (lambda epoch: float(rate))


def sgd(learning_rate: Any) -> PlainRule:
    """Return stochastic gradient descent: ``d = g``."""
    return PlainRule(f"SGD({learning_rate!r})", lambda: lambda g, w, t: g, _schedule(learning_rate))


def _momentum(m: float, kind: str) -> Callable[[], Direction]:
    def make() -> Direction:
        v: Any = 0.0

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            nonlocal v
            if kind == "dampened":
                v = m * v + (1 - m) * g
                return np.asarray(v)
            before, v = v, m * v + g
            if kind == "nesterov":
                return np.asarray(g + m * v)
            return np.asarray(g + m * before if kind == "heavy ball" else g + m * m * before)

        return direction

    return make


def momentum(learning_rate: Any, m: float, *, nesterov: bool = False) -> PlainRule:
    """Return the heavy ball, ``v = m v + g, d = v``, or Nesterov's form, ``d = g + m v``."""
    kind, other = ("nesterov", "heavy ball") if nesterov else ("heavy ball", "nesterov")
    mistakes = (
        (f"{other} in place of {kind}", _momentum(m, other)),
        ("a dampened gradient, (1 - m) g, in the velocity", _momentum(m, "dampened")),
        ("the momentum applied twice", _momentum(m, "twice")),
        ("no momentum", lambda: lambda g, w, t: g),
    )
    name = f"{kind}({learning_rate!r}, momentum={m})"
    return PlainRule(name, _momentum(m, kind), _schedule(learning_rate), mistakes)


def _adagrad(epsilon: float, *, inside: bool = False, root: bool = True) -> Callable[[], Direction]:
    def make() -> Direction:
        s: Any = 0.0

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            nonlocal s
            s = s + g * g
            if not root:
                return np.asarray(g / (s + epsilon))
            return np.asarray(g / np.sqrt(s + epsilon) if inside else g / (np.sqrt(s) + epsilon))

        return direction

    return make


def adagrad(learning_rate: Any, epsilon: float = 1e-10) -> PlainRule:
    """Return AdaGrad: ``s = s + g^2, d = g / (sqrt(s) + epsilon)``."""
    mistakes = (
        ("epsilon inside the root", _adagrad(epsilon, inside=True)),
        ("no root of the squares", _adagrad(epsilon, root=False)),
    )
    name = f"AdaGrad({learning_rate!r}, epsilon={epsilon:g})"
    return PlainRule(name, _adagrad(epsilon), _schedule(learning_rate), mistakes)


def _rmsprop(decay: float, epsilon: float, kind: str = "") -> Callable[[], Direction]:
    def make() -> Direction:
        s: Any = 0.0

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            nonlocal s
            before, s = s, decay * s + (1 - decay) * g * g
            if kind == "inside":
                return np.asarray(g / np.sqrt(s + epsilon))
            if kind == "corrected":
                return np.asarray(g / (np.sqrt(s / (1 - decay**t)) + epsilon))
            used = before if kind == "before" and t > 1 else s
            return np.asarray(g / (np.sqrt(used) + epsilon))

        return direction

    return make


def rmsprop(learning_rate: Any, decay: float = 0.99, epsilon: float = 1e-8) -> PlainRule:
    """Return RMSprop: ``s = rho s + (1 - rho) g^2, d = g / (sqrt(s) + epsilon)``."""
    mistakes = (
        ("epsilon inside the root", _rmsprop(decay, epsilon, "inside")),
        ("a bias correction", _rmsprop(decay, epsilon, "corrected")),
        ("the mean square of the step before", _rmsprop(decay, epsilon, "before")),
    )
    name = f"RMSprop({learning_rate!r}, decay={decay}, epsilon={epsilon:g})"
    return PlainRule(name, _rmsprop(decay, epsilon), _schedule(learning_rate), mistakes)


def _adam(
    beta1: float, beta2: float, epsilon: float, decay: float = 0.0, kind: str = ""
) -> Callable[[], Direction]:
    def make() -> Direction:
        m: Any = 0.0
        v: Any = 0.0

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            nonlocal m, v
            g = g + decay * w if kind == "coupled decay" else g
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * (g if kind == "not squared" else g * g)
            late = {"late": 1, "early": -1}.get(kind, 0)
            bias1, bias2 = 1 - beta1 ** (t + late), 1 - beta2 ** (t + late)
            bias1 = 1.0 if kind in {"no correction", "second only"} else bias1
            bias2 = 1.0 if kind in {"no correction", "first only"} else bias2
            if kind == "inside":
                found = m / bias1 / np.sqrt(v / bias2 + epsilon)
            elif kind == "uncorrected epsilon":
                found = m / bias1 * math.sqrt(bias2) / (np.sqrt(v) + epsilon)
            elif kind == "no root":
                found = m / bias1 / (v / bias2 + epsilon)
            else:
                found = m / bias1 / (np.sqrt(v / bias2) + epsilon)
            return np.asarray(found + decay * w if kind != "coupled decay" else found)

        return direction

    return make


def adam(
    learning_rate: Any,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    coupled: bool = False,
) -> PlainRule:
    r"""Return Adam, or AdamW with a decoupled ``weight_decay``.

    .. math:: d_t = \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
        + \lambda w_{t-1}

    ``coupled`` adds :math:`\lambda w` to the gradient instead, as `torch.optim.Adam` does.
    """
    right = "coupled decay" if coupled else ""
    kinds = {
        "inside": "epsilon inside the root",
        "uncorrected epsilon": "epsilon beside the root without its bias correction",
        "no correction": "no bias correction",
        "first only": "a bias correction of the first moment only",
        "second only": "a bias correction of the second moment only",
        "late": "a bias correction off by one step (t + 1)",
        "early": "a bias correction off by one step (t - 1)",
        "no root": "no root of the second moment",
        "not squared": "a second moment of gradients, not of their squares",
        "" if coupled else "coupled decay": "decoupled decay" if coupled else "coupled decay",
    }
    common = beta1, beta2, epsilon, weight_decay
    mistakes = [(name, _adam(*common, kind)) for kind, name in kinds.items()]
    mistakes += [("beta1 and beta2 swapped", _adam(beta2, beta1, epsilon, weight_decay, right))]
    decay = f", weight_decay={weight_decay:g}" if weight_decay else ""
    name = f"Adam({learning_rate!r}, {beta1}, {beta2}, epsilon={epsilon:g}{decay})"
    return PlainRule(name, _adam(*common, right), _schedule(learning_rate), tuple(mistakes))


def _lion(beta1: float, beta2: float, decay: float, kind: str = "") -> Callable[[], Direction]:
    def make() -> Direction:
        m: Any = 0.0

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            nonlocal m
            before, m = m, beta2 * m + (1 - beta2) * g
            mixed = beta1 * (m if kind == "updated first" else before) + (1 - beta1) * g
            return np.asarray(np.sign(m if kind == "one beta" else mixed) + decay * w)

        return direction

    return make


def lion(
    learning_rate: Any, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0
) -> PlainRule:
    """Return Lion: ``d = sign(b1 m + (1 - b1) g) + lambda w``, then ``m = b2 m + (1 - b2) g``."""
    late = _lion(beta1, beta2, weight_decay, "updated first")
    mistakes = (
        ("the sign of the new momentum", _lion(beta1, beta2, weight_decay, "one beta")),
        ("a gradient mixed with the new momentum", late),
        ("beta1 and beta2 swapped", _lion(beta2, beta1, weight_decay)),
    )
    name = f"Lion({learning_rate!r}, {beta1}, {beta2}, weight_decay={weight_decay:g})"
    make = _lion(beta1, beta2, weight_decay)
    return PlainRule(name, make, _schedule(learning_rate), mistakes)


def decayed(rule: PlainRule, weight_decay: float) -> PlainRule:
    """Return the rule with ``weight_decay * w`` added to each gradient, biases too."""

    def make() -> Direction:
        inner = rule.make()
        return lambda g, w, t: inner(g + weight_decay * w, w, t)

    return replace(rule, name=f"{rule.name}, weight_decay={weight_decay:g}", make=make)


def clipped(rule: PlainRule, max_norm: float) -> PlainRule:
    """Return the rule with each gradient clipped to a largest Euclidean norm."""

    def make() -> Direction:
        inner = rule.make()

        def direction(g: Vector, w: Vector, t: int) -> Vector:
            norm = float(np.linalg.norm(g))
            return inner(g * min(1.0, max_norm / norm) if norm else g, w, t)

        return direction

    return replace(rule, name=f"clipped {rule.name}, max_norm={max_norm:g}", make=make)
