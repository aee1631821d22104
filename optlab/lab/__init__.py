"""The measured comparison: the grid, one trial under the clock, the store, the workers.

The names are listed in ``__init__.pyi``; each is imported when it is first used, so that the
command line can read the options of `Execution` without loading torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
