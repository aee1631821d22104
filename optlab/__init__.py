"""Comparative optimisation: who reaches the solution of my problem, how fast, and is it right.

The public names are listed, for readers and type checkers, in ``__init__.pyi``; each is imported
when it is first used, so that ``import optlab`` costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
