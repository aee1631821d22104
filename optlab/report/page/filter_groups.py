"""The optimizers of the filters: settings of one method stand together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from optlab.text import method_name


def filter_groups(optimizers: Iterable[str]) -> list[dict[str, Any]]:
    """Return a group for each method, with its settings and a short text for each of them.

    ``by`` names the hyperparameter where the settings differ in one only; their texts are then its
    values. Else a text has all hyperparameters that are not the same in all settings.

    Examples
    --------
    >>> own = ["SGD(learning_rate=0.1, momentum=0.9)", "SGD(learning_rate=1.0, momentum=0.9)", "QR"]
    >>> for group in filter_groups(own):
    ...     print(group["method"], group["by"], [text for _, text in group["settings"]])
    SGD learning rate ['0.1', '1.0']
    QR  ['QR']
    """
    groups: dict[str, list[str]] = {}
    for optimizer in optimizers:
        groups.setdefault(method_name(optimizer), []).append(optimizer)
    return [_group(method, labels) for method, labels in groups.items()]


def _group(method: str, labels: list[str]) -> dict[str, Any]:
    if len(labels) == 1:
        return {"method": method, "by": "", "settings": [(labels[0], labels[0])]}
    parts = [re.split(r", (?=\w+=)(?![^()]*\))", label[len(method) + 1 : -1]) for label in labels]
    common = set(parts[0]).intersection(*parts[1:])
    own = [[part for part in each if part not in common] for each in parts]
    names = {part.partition("=")[0] for each in own for part in each}
    one = len(names) == 1 and all(len(each) == 1 and "=" in each[0] for each in own)
    texts = [each[0].partition("=")[2] if one else ", ".join(each) for each in own]
    return {
        "method": method,
        "by": names.pop().replace("_", " ") if one else "",
        "settings": [(label, text or label) for label, text in zip(labels, texts, strict=True)],
    }
