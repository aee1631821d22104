"""Linear models solved to 40 digits by mpmath, for tests and benchmarks.

Nothing here shares arithmetic with the references under test; only where Newton starts is theirs.
That the end is the minimum is proven by the conditions of optimality, to 30 digits: the objective
is convex.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mpmath as mp
import torch

DIGITS = 40


class Exact(NamedTuple):
    """A minimiser ``[bias, weight...]`` (row by row of the outputs) and its objective."""

    parameters: list[Any]
    loss: Any


def solved(problem: Any) -> Exact:
    """Return the minimiser of a linear model, or raise AssertionError where it is none."""
    with mp.workdps(DIGITS + 10):
        return _vertex(problem) if problem.loss_function.kink else _newton(problem)


def least_digits(problem: Any, exact: Exact) -> float:
    """Return the least over coefficients of the digits that the reference's parameters have."""
    found = _flat(problem.reference().parameters, problem)
    digits = [
        float(-mp.log10(abs(mp.mpf(a) - b) / abs(b))) if b else 0.0
        for a, b in zip(found, exact.parameters, strict=True)
        if mp.mpf(a) != b
    ]
    return min(digits, default=16.0)


def _flat(parameters: Any, problem: Any) -> list[float]:
    rows = parameters["weight"].reshape(problem.X.shape[1], -1)
    if problem.fit_intercept:
        rows = torch.cat([parameters["bias"].reshape(1, -1), rows])
    return rows.reshape(-1).tolist()


class _Model:
    """A problem's numbers as mpmath's."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        head = [mp.mpf(1)] if problem.fit_intercept else []
        self.rows = [head + [mp.mpf(v) for v in row] for row in problem.X.double().tolist()]
        self.y = [mp.mpf(v) for v in problem.y.tolist()]
        given = problem.sample_weight
        weights = [mp.mpf(1)] * len(self.y) if given is None else list(map(mp.mpf, given.tolist()))
        self.share = [weight / mp.fsum(weights) for weight in weights]
        self.K = problem.loss_function.outputs[0] if problem.loss_function.outputs else 1
        p = len(self.rows[0])
        penalised = [0] * len(head) + [1] * (p - len(head))
        self.l1 = [mp.mpf(problem.l1) * v for v in penalised for _ in range(self.K)]
        self.l2 = [mp.mpf(problem.l2) * v for v in penalised for _ in range(self.K)]

    def predictions(self, theta: list[Any], row: list[Any]) -> list[Any]:
        return [mp.fdot(row, theta[k :: self.K]) for k in range(self.K)]

    def objective(self, theta: list[Any]) -> Any:
        rows = (
            share * self.terms(self.predictions(theta, row), y)[0]
            for share, row, y in zip(self.share, self.rows, self.y, strict=True)
        )
        penalty = (
            a * abs(t) + b / 2 * t * t for a, b, t in zip(self.l1, self.l2, theta, strict=True)
        )
        return mp.fsum(rows) + mp.fsum(penalty)

    def terms(self, eta: list[Any], y: Any) -> tuple[Any, list[Any], list[list[Any]]]:
        """Return the loss of a row, its slopes and its curvature."""
        loss, (e, *_) = self.problem.loss_function, eta
        match type(loss).__name__:
            case "Squared":
                return (e - y) ** 2, [2 * (e - y)], [[mp.mpf(2)]]
            case "Logistic":
                sign = 1 - 2 * y
                p = 1 / (1 + mp.exp(-sign * e))
                return mp.log1p(mp.exp(sign * e)), [sign * p], [[p * (1 - p)]]
            case "Poisson":
                fit = y * mp.log(y) - y if y else mp.mpf(0)
                return mp.exp(e) - y * e + fit, [mp.exp(e) - y], [[mp.exp(e)]]
            case "Huber":
                delta, r = mp.mpf(loss.delta), e - y
                if abs(r) <= delta:
                    return r * r / 2, [r], [[mp.mpf(1)]]
                return delta * abs(r) - delta**2 / 2, [delta * mp.sign(r)], [[mp.mpf(0)]]
            case "Quantile":
                q, r = mp.mpf(loss.quantile), y - e
                return max(q * r, (q - 1) * r), [mp.mpf(0)], [[mp.mpf(0)]]
        top = max(eta)
        exps = [mp.exp(v - top) for v in eta]
        p = [v / mp.fsum(exps) for v in exps]
        k = int(y)
        slope = [v - (j == k) for j, v in enumerate(p)]
        bent = [[(i == j) * p[i] - p[i] * p[j] for j in range(self.K)] for i in range(self.K)]
        return top + mp.log(mp.fsum(exps)) - eta[k], slope, bent


def _newton(problem: Any) -> Exact:
    model, K = _Model(problem), _Model(problem).K
    start = _flat(problem.reference().parameters, problem)
    theta = [mp.mpf(v) for v in start]
    fixed = [
        K > 1 and j % K == K - 1 and not (model.l1[j] or model.l2[j]) for j in range(len(theta))
    ]
    for j, is_fixed in enumerate(fixed):
        if is_fixed:  # only differences of outputs count
            for k in range(K):
                theta[j - K + 1 + k] -= theta[j]
    active = [j for j, t in enumerate(theta) if not fixed[j] and (t or not model.l1[j])]
    for _ in range(40):
        gradient, bent = _derivatives(model, theta)
        pull = [gradient[j] + model.l1[j] * mp.sign(theta[j]) for j in active]
        matrix = mp.matrix([[bent[i][j] for j in active] for i in active])
        step = mp.lu_solve(matrix, -mp.matrix(pull)) if active else []
        for j, s in zip(active, step, strict=True):
            theta[j] += s
        if all(abs(s) <= mp.mpf(10) ** -DIGITS * (1 + max(map(abs, theta))) for s in step):
            break
    _check_optimal(model, theta, active)
    for j, is_fixed in enumerate(fixed):
        if is_fixed:
            mean = mp.fsum(theta[j - K + 1 : j + 1]) / K
            theta[j - K + 1 : j + 1] = [t - mean for t in theta[j - K + 1 : j + 1]]
    return Exact(theta, model.objective(theta))


def _derivatives(model: _Model, theta: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Return the gradient and the Hessian of the smooth part."""
    K, size = model.K, len(theta)
    gradient = [model.l2[j] * theta[j] for j in range(size)]
    bent = [[model.l2[i] * (i == j) for j in range(size)] for i in range(size)]
    for share, row, y in zip(model.share, model.rows, model.y, strict=True):
        _, slope, curvature = model.terms(model.predictions(theta, row), y)
        for i in range(size):
            gradient[i] += share * slope[i % K] * row[i // K]
            left = share * row[i // K]
            for j in range(size):
                if curvature[i % K][j % K]:
                    bent[i][j] += left * curvature[i % K][j % K] * row[j // K]
    return gradient, bent


def _check_optimal(model: _Model, theta: list[Any], active: list[int]) -> None:
    gradient, _ = _derivatives(model, theta)
    size = max(1, *(abs(s) for row in model.rows for s in row)) * (1 + model.objective(theta))
    for j, slope in enumerate(gradient):
        if j in active:
            assert abs(slope + model.l1[j] * mp.sign(theta[j])) <= mp.mpf(10) ** -30 * size
        else:
            assert abs(slope) <= model.l1[j] + mp.mpf(10) ** -30 * size


def _vertex(problem: Any) -> Exact:
    """Return the vertex of the rows that the reference fits, if its slopes balance."""
    assert not problem.l2
    model, loss = _Model(problem), problem.loss_function
    # Rounded parameters do not say which rows are fitted where the intercept is large.
    near = [mp.mpf(a) + mp.mpf(b) for a, b in zip(*(part.tolist() for part in problem._optimum.theta), strict=True)]
    active = [j for j, t in enumerate(near) if t or not model.l1[j]]
    gaps = [abs(y - mp.fdot(row, near)) for row, y in zip(model.rows, model.y, strict=True)]
    basis = sorted(range(len(gaps)), key=gaps.__getitem__)[: len(active)]
    matrix = mp.matrix([[model.rows[i][j] for j in active] for i in basis])
    fit = mp.lu_solve(matrix, mp.matrix([model.y[i] for i in basis]))
    theta = [mp.mpf(0)] * len(near)
    for j, t in zip(active, fit, strict=True):
        theta[j] = t
    q = mp.mpf(loss.quantile)
    slopes = [
        q if y > mp.fdot(row, theta) else q - 1 for row, y in zip(model.rows, model.y, strict=True)
    ]
    others = [i for i in range(len(slopes)) if i not in basis]

    def pull(j: int, rows: list[int]) -> Any:
        return mp.fsum(model.share[i] * slopes[i] * model.rows[i][j] for i in rows)

    right = [model.l1[j] * mp.sign(theta[j]) - pull(j, others) for j in active]
    for i, value in zip(basis, mp.lu_solve(matrix.T, mp.matrix(right)), strict=True):
        slopes[i] = value / model.share[i]
        assert q - 1 <= slopes[i] <= q
    everything = list(range(len(slopes)))
    assert all(
        abs(pull(j, everything)) <= model.l1[j] * (1 + mp.mpf(10) ** -30)
        for j in range(len(theta)) if j not in active
    )  # fmt: skip
    return Exact(theta, model.objective(theta))
