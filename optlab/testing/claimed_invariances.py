"""The invariances that the lab's methods claim, by class; each follows from its formula."""

from __future__ import annotations

from typing import Any

from optlab.testing.known_rules import known_rule

_ORTHOGONAL = ("order of columns", "rotation", "translation", "sign")
_LINEAR = (*_ORTHOGONAL, "scale of the target")
_KRYLOV = (*_LINEAR, "scale of the loss")
_ALL = (*_KRYLOV, "scale of columns")
_ELEMENTWISE = ("order of columns", "translation", "sign")

_OF_RULES = {
    "SGD": _LINEAR, "heavy ball": _LINEAR, "nesterov": _LINEAR, "AdaGrad": _ELEMENTWISE,
    "RMSprop": _ELEMENTWISE, "Adam": _ELEMENTWISE, "Lion": (*_ELEMENTWISE, "scale of the loss"),
    "clipped SGD": _ORTHOGONAL, "clipped heavy ball": _ORTHOGONAL, "clipped nesterov": _ORTHOGONAL,
}  # fmt: skip
_OF_CLASSES = {
    "CoordinateDescent": ("translation", "sign", "scale of the target", "scale of the loss",
                          "scale of columns"),
    "SVRG": _LINEAR, "SAGA": _KRYLOV, "ExactLineSearch": _KRYLOV, "BarzilaiBorwein": _ORTHOGONAL,
    "PolyakStep": _KRYLOV, "ProximalGradient": _KRYLOV, "FISTA": _KRYLOV, "CGLS": _KRYLOV,
    "LSQR": _KRYLOV, "Lstsq": _ALL, "RefinedLstsq": _ALL, "StreamingLstsq": _ALL,
    "NormalEquations": _ALL, "QR": _ALL, "Newton": _ALL, "GaussNewton": _ALL,
    # The first step of torch's L-BFGS is scaled by the gradient's 1-norm, which a rotation changes.
    "LBFGS": ("order of columns", "translation", "sign"), "SklearnLinearRegression": _ALL,
}  # fmt: skip


def claimed_invariances(optimizer: Any) -> tuple[str, ...] | None:
    """Return the names of the invariances that an optimizer claims, or None where it says nothing.

    An optimizer of one's own claims them by an attribute, ``invariances = ("translation",)``.

    Examples
    --------
    >>> import optlab as ol
    >>> claimed_invariances(ol.Adam())
    ('order of columns', 'translation', 'sign')
    """
    own = getattr(optimizer, "invariances", None)
    if own is not None:
        return tuple(own)
    rule = known_rule(optimizer)
    if rule is not None:
        claims = _OF_RULES.get(rule.name.partition("(")[0], ())
        decays = "weight_decay" in rule.name and "weight_decay=0)" not in rule.name
        return tuple(name for name in claims if not (decays and name == "translation"))
    kind = type(optimizer)
    if kind.__name__ == "SAGA" and optimizer.learning_rate is not None:
        return _LINEAR  # its own rate, 1 / (3 L), follows the scale of the loss
    return _OF_CLASSES.get(kind.__name__) if kind.__module__.startswith("optlab.") else None
