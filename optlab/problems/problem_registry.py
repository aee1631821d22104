"""The registry of problems by name; to add one is one line here."""

from __future__ import annotations

from typing import Any

from optlab.registry import Registry

registry: Registry[type[Any]] = Registry(
    "problem",
    "optlab.problems",
    {
        "linear": "optlab.problems.linear_regression:LinearRegression",
    },
)
"""Problem classes by name, such as ``registry.get("linear")``."""
