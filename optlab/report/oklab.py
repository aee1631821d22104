"""Lightness of colours in OKLab, a space in which equal distances look equal.

Source: Björn Ottosson, "A perceptual color space for image processing" (2020).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_OPPONENTS = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def linear_rgb(colour: str) -> _Array:
    """Return the linear red, green and blue of ``#rrggbb``, each from 0 to 1.

    Examples
    --------
    >>> linear_rgb("#FF8000").round(3).tolist()
    [1.0, 0.216, 0.0]
    """
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear: _Array = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear


def oklab(linear: _Array) -> _Array:
    """Return lightness (0 to 1) and the two opponent axes of linear red, green and blue.

    Examples
    --------
    >>> bool(abs(oklab(linear_rgb("#FFFFFF")) - [1, 0, 0]).max() < 1e-6)
    True
    """
    found: _Array = _OPPONENTS @ np.cbrt(_CONES @ linear)
    return found


def lightness(colour: str) -> float:
    """Return the lightness of ``#rrggbb``, from 0 (black) to 1 (white).

    Examples
    --------
    >>> round(lightness("#0072B2"), 3), round(lightness("#FFFFFF"), 3)
    (0.532, 1.0)
    """
    return float(oklab(linear_rgb(colour))[0])


@cache
def with_lightness(colour: str, lightness: float) -> str:
    """Return a colour of the same hue at another OKLab lightness, as vivid as a screen allows.

    Examples
    --------
    >>> with_lightness("#0072B2", 0.4), with_lightness("#0072B2", 0.65)
    ('#004c78', '#3b96d9')
    """
    _, a, b = oklab(linear_rgb(colour))
    for vivid in np.linspace(1, 0, 101):
        cones = np.linalg.solve(_OPPONENTS, [lightness, a * vivid, b * vivid])
        linear = np.linalg.solve(_CONES, cones**3)
        if (linear > -1e-4).all() and (linear < 1 + 1e-4).all():
            break
    linear = np.clip(linear, 0, 1)
    parts = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
