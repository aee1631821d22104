"""Collection of doctests: of the package, only modules that have some are looked through."""

from pathlib import Path

PACKAGE = Path(__file__).parent / "optlab"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Ignore a module of the package that has no example."""
    if collection_path.suffix != ".py" or not collection_path.is_relative_to(PACKAGE):
        return None
    return ">>>" not in collection_path.read_text(encoding="utf-8") or None
