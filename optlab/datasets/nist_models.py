"""The models of NIST's nonlinear regression sets, as torch functions of one row's features.

Each takes the columns of X first, then its parameters by NIST's names, ``b1``, ``b2``, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CurveModel:
    """Call a function of columns and named parameters as ``model(parameters, X)``.

    Parameters
    ----------
    function
        ``function(x1, x2, ..., b1=..., b2=...)``, of the columns of X, each ``(n,)``, and scalar
        parameters; returns the prediction ``(n,)``.

    Examples
    --------
    >>> model = CurveModel(dan_wood)
    >>> model({"b1": torch.tensor(2.0), "b2": torch.tensor(3.0)}, torch.tensor([[1.0], [2.0]]))
    tensor([ 2., 16.])
    """

    function: Callable[..., Tensor]

    def __call__(self, parameters: Mapping[str, Tensor], X: Tensor) -> Tensor:
        """Return the prediction for each row of X, shape ``(n,)``."""
        return self.function(*X.unbind(1), **parameters)


def misra1a(x: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    """Return ``b1 (1 - exp(-b2 x))``; expm1 keeps the digits that 1 - exp loses."""
    return -b1 * torch.expm1(-b2 * x)


def misra1b(x: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    """Return ``b1 (1 - (1 + b2 x / 2)^-2)``."""
    half = b2 * x / 2
    return b1 * half * (2 + half) / (1 + half) ** 2


def misra1c(x: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    """Return ``b1 (1 - (1 + 2 b2 x)^-1/2)``."""
    return b1 * (1 - (1 + 2 * b2 * x) ** -0.5)


def misra1d(x: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    """Return ``b1 b2 x / (1 + b2 x)``."""
    return b1 * b2 * x / (1 + b2 * x)


def chwirut(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``exp(-b1 x) / (b2 + b3 x)``."""
    return torch.exp(-b1 * x) / (b2 + b3 * x)


def lanczos(
    x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor, b5: Tensor, b6: Tensor
) -> Tensor:
    """Return ``b1 exp(-b2 x) + b3 exp(-b4 x) + b5 exp(-b6 x)``."""
    return b1 * torch.exp(-b2 * x) + b3 * torch.exp(-b4 * x) + b5 * torch.exp(-b6 * x)


def gauss(
    x: Tensor,
    b1: Tensor,
    b2: Tensor,
    b3: Tensor,
    b4: Tensor,
    b5: Tensor,
    b6: Tensor,
    b7: Tensor,
    b8: Tensor,
) -> Tensor:
    """Return ``b1 exp(-b2 x) + b3 exp(-(x - b4)^2 / b5^2) + b6 exp(-(x - b7)^2 / b8^2)``."""
    first = b3 * torch.exp(-(((x - b4) / b5) ** 2))
    second = b6 * torch.exp(-(((x - b7) / b8) ** 2))
    return b1 * torch.exp(-b2 * x) + first + second


def dan_wood(x: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    """Return ``b1 x^b2``."""
    return b1 * x**b2


def kirby2(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor, b5: Tensor) -> Tensor:
    """Return ``(b1 + b2 x + b3 x^2) / (1 + b4 x + b5 x^2)``."""
    return (b1 + x * (b2 + x * b3)) / (1 + x * (b4 + x * b5))


def cubic_ratio(
    x: Tensor,
    b1: Tensor,
    b2: Tensor,
    b3: Tensor,
    b4: Tensor,
    b5: Tensor,
    b6: Tensor,
    b7: Tensor,
) -> Tensor:
    """Return ``(b1 + b2 x + b3 x^2 + b4 x^3) / (1 + b5 x + b6 x^2 + b7 x^3)``."""
    return (b1 + x * (b2 + x * (b3 + x * b4))) / (1 + x * (b5 + x * (b6 + x * b7)))


def nelson(x1: Tensor, x2: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``b1 - b2 x1 exp(-b3 x2)``, the model of log(y)."""
    return b1 - b2 * x1 * torch.exp(-b3 * x2)


def mgh17(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor, b5: Tensor) -> Tensor:
    """Return ``b1 + b2 exp(-b4 x) + b3 exp(-b5 x)``."""
    return b1 + b2 * torch.exp(-b4 * x) + b3 * torch.exp(-b5 * x)


def roszman1(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor) -> Tensor:
    """Return ``b1 - b2 x - arctan(b3 / (x - b4)) / pi``."""
    return b1 - b2 * x - torch.atan(b3 / (x - b4)) / math.pi


def enso(
    x: Tensor,
    b1: Tensor,
    b2: Tensor,
    b3: Tensor,
    b4: Tensor,
    b5: Tensor,
    b6: Tensor,
    b7: Tensor,
    b8: Tensor,
    b9: Tensor,
) -> Tensor:
    """Return ``b1`` and three sine waves: of period 12, of period b4 and of period b7."""
    turn = 2 * math.pi * x
    year, first, second = turn / 12, turn / b4, turn / b7
    total = b1 + b2 * torch.cos(year) + b3 * torch.sin(year)
    total = total + b5 * torch.cos(first) + b6 * torch.sin(first)
    return total + b8 * torch.cos(second) + b9 * torch.sin(second)


def mgh09(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor) -> Tensor:
    """Return ``b1 (x^2 + b2 x) / (x^2 + b3 x + b4)``."""
    return b1 * x * (x + b2) / (x * (x + b3) + b4)


def rat42(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``b1 / (1 + exp(b2 - b3 x))``."""
    return b1 / (1 + torch.exp(b2 - b3 * x))


def rat43(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor, b4: Tensor) -> Tensor:
    """Return ``b1 / (1 + exp(b2 - b3 x))^(1 / b4)``."""
    return b1 / (1 + torch.exp(b2 - b3 * x)) ** (1 / b4)


def mgh10(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``b1 exp(b2 / (x + b3))``."""
    return b1 * torch.exp(b2 / (x + b3))


def eckerle4(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``(b1 / b2) exp(-((x - b3) / b2)^2 / 2)``."""
    return b1 / b2 * torch.exp(-(((x - b3) / b2) ** 2) / 2)


def bennett5(x: Tensor, b1: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
    """Return ``b1 (b2 + x)^(-1 / b3)``."""
    return b1 * (b2 + x) ** (-1 / b3)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Misra1a": misra1a,
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": lanczos,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "DanWood": dan_wood,
    "Misra1b": misra1b,
    "Kirby2": kirby2,
    "Hahn1": cubic_ratio,
    "Nelson": nelson,
    "MGH17": mgh17,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Gauss3": gauss,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Roszman1": roszman1,
    "ENSO": enso,
    "MGH09": mgh09,
    "Thurber": cubic_ratio,
    "BoxBOD": misra1a,
    "Rat42": rat42,
    "MGH10": mgh10,
    "Eckerle4": eckerle4,
    "Rat43": rat43,
    "Bennett5": bennett5,
}
MODELS = {name: CurveModel(function) for name, function in _FUNCTIONS.items()}
"""Each set's model, in NIST's order of difficulty."""
