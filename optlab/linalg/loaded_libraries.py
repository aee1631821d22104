"""Count the shared libraries that this process has loaded, to see whether one has come since."""

from __future__ import annotations

import ctypes
import sys


class _ObjectInfo(ctypes.Structure):
    """The start of ``struct dl_phdr_info``."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("header_count", ctypes.c_uint16),
        ("loads", ctypes.c_ulonglong),
    )


_Visitor = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(_ObjectInfo), ctypes.c_size_t, ctypes.POINTER(ctypes.c_ulonglong)
)


@_Visitor
def _first(info, _, found):  # type: ignore[no-untyped-def]  # ctypes gives the types
    found[0] = info[0].loads
    return 1  # the first object knows the count: no other is visited


_visit = ctypes.CDLL(None).dl_iterate_phdr if sys.platform == "linux" else None


def loads() -> int:
    """Return how many shared libraries this process has loaded so far; the count never falls.

    On Linux the dynamic linker counts them. Elsewhere the number of Python's modules stands for it,
    as most libraries come with one.

    See Also
    --------
    optlab.linalg.blas_threads.controller : It looks for thread pools where this has changed.

    Examples
    --------
    >>> before = loads()
    >>> loads() == before > 0
    True

    References
    ----------
    dl_iterate_phdr(3): ``dlpi_adds``.
    """
    if _visit is None:
        return len(sys.modules)
    found = ctypes.c_ulonglong()
    _visit(_first, ctypes.byref(found))
    return found.value
