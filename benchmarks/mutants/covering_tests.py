"""The tests that run a line, cheapest first, from the data of ``nox -s coverage``."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData


@dataclass(frozen=True)
class CoveringTests:
    """The lines and the seconds of each test, as ``coverage_contexts.py`` noted them."""

    root: Path
    data: CoverageData
    seconds: dict[str, float]

    @classmethod
    def read(cls, root: Path) -> "CoveringTests":
        """Read ``.coverage`` and ``.coverage-seconds.json`` of a checkout."""
        data = CoverageData(str(root / ".coverage"))
        data.read()
        seconds = json.loads((root / ".coverage-seconds.json").read_text(encoding="utf-8"))
        return cls(root, data, seconds)

    def of(self, path: str, line: int) -> list[str]:
        """Return the tests that run a line; of a line run at import, those that run the file.

        Of a line that is compiled, or that no test is seen to run: the tests of the files that
        import it.
        """
        contexts = self.data.contexts_by_lineno(str(self.root / path))
        lines = _lines_of_function(self.root / path, line)
        names = {name for number in lines or contexts for name in contexts.get(number, ())}
        names &= self.seconds.keys()
        if not names or _is_compiled(self.root / path, line):
            names = {name for user in self._users(path) for name in self._of_file(user)}
        return sorted(names & self.seconds.keys(), key=lambda name: self.seconds[name])

    def _of_file(self, path: Path) -> set[str]:
        """Return the tests that run a line of a file's functions."""
        contexts = self.data.contexts_by_lineno(str(path))
        inside = (number for number in contexts if _lines_of_function(path, number))
        return {name for number in inside for name in contexts[number]}

    def _users(self, path: str) -> list[Path]:
        """Return the files that import a file, and it itself."""
        file = self.root / path
        own, stem = ".".join(Path(path).with_suffix("").parts), file.stem
        words = re.compile(
            rf"{re.escape(own)}\b|from {re.escape(own.rpartition('.')[0])} import .*\b{stem}\b"
        )
        others = (self.root / path.partition("/")[0]).rglob("*.py")
        return [
            file,
            *(other for other in others if words.search(other.read_text(encoding="utf-8"))),
        ]


def _is_compiled(path: Path, line: int) -> bool:
    """Tell whether a line is of a function that numba or Triton compiles."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        "jit" in ast.unparse(decorator)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
        for decorator in node.decorator_list
    )


def _lines_of_function(path: Path, line: int) -> range | None:
    """Return the lines of the innermost statement of a function that holds a line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    inside = [
        statement
        for body in bodies
        for outer in body
        for statement in ast.walk(outer)
        if isinstance(statement, ast.stmt)
        and statement.lineno <= line <= (statement.end_lineno or 0)
    ]
    if not inside:
        return None
    innermost = max(inside, key=lambda statement: statement.lineno)
    return range(innermost.lineno, line + 1)
