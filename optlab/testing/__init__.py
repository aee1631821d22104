"""Tests for authors of optimizers and problems: strategies, oracles, checks.

The names are listed in ``__init__.pyi``; each is imported when it is first used, so that only the
strategies need hypothesis (the extra ``testing``).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
