"""The tests of a line: of the file by name, import or word, and those that run it, cheapest first.

Those that run it are known from the data of ``nox -s coverage``, where there are any.
"""

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coverage import CoverageData

UNKNOWN_SECONDS = 0.05  # assumed of a test that the record lacks
FEW_TESTS = 20  # that name a file: so few are joined by those that name what imports it


@dataclass(frozen=True)
class CoveringTests:
    """All tests, their seconds, and the lines of those that ``coverage_contexts.py`` recorded."""

    root: Path
    data: CoverageData
    seconds: dict[str, float]
    recorded: frozenset[str]

    @classmethod
    def read(cls, root: Path, folder: Path, tests: list[str]) -> "CoveringTests":
        """Read ``.coverage`` and ``.coverage-seconds.json`` of a folder, where they stand."""
        data, note = CoverageData(str(folder / ".coverage")), folder / ".coverage-seconds.json"
        data.read()
        known = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        seconds = {test: known.get(test, UNKNOWN_SECONDS) for test in tests}
        return cls(root, data, seconds, frozenset(known.keys() & seconds.keys()))

    def own(self, path: str, line: int) -> list[str]:
        """Return the tests that name a file: its test file, importing files, then tests by word.

        Of each kind those come first that name the function or class of the line. Of a file that
        few name, the tests that name the files that import it, most of them first, follow. Of each
        test one parameter comes first, then another of each. Those that are recorded, but not of
        this line, come last.
        """
        elsewhere = self.recorded - set(self.of(path, line))
        ranks = self._ranks(path, line)
        files = seen = {path}
        while files and len(ranks) < FEW_TESTS:
            users = {user for file in files for user in self._users(file)}
            files = {str(user.relative_to(self.root)) for user in users} - seen
            seen = seen | files
            named = Counter(test for file in files for test in self._ranks(file))
            last = max(ranks.values(), default=0) + len(files) + 1
            ranks = {test: last - count for test, count in named.items()} | ranks
        ordered = sorted(ranks, key=lambda test: (test in elsewhere, self.seconds[test]))
        turns, before = dict[str, int](), Counter[str]()
        for test in ordered:
            turns[test] = before[test.partition("[")[0]]
            before.update([test.partition("[")[0]])
        return sorted(ordered, key=lambda test: (test in elsewhere, ranks[test], turns[test]))

    def _ranks(self, path: str, line: int = 0) -> dict[str, float]:
        """Return how a test names a file: 0 by its own file, 2 by an import, 4 by a word.

        One more where it does not name what is defined around the line, and up to 1/2 more the
        fewer tests of its file name anything of these.
        """
        tree = ast.parse((self.root / path).read_text(encoding="utf-8"))
        words, imports, here = _public_names(tree), _imports(path), _defined_at(tree, line)
        ranks, tests = dict[str, float](), _of_files(self.seconds)
        for file, functions in _test_functions(self.root).items():
            is_own = file == f"tests/test_{Path(path).stem}.py"
            by_import = is_own or imports.search((self.root / file).read_text(encoding="utf-8"))
            others = sum(not (words | here) & own for own in functions.values())
            for test in tests[file]:
                own = functions.get(test.split("::")[1].partition("[")[0], set())
                if by_import or words & own:
                    kind = 0 if is_own else 2 if by_import else 4
                    ranks[test] = kind + (not here & own) + others / len(functions) / 2
        return ranks | dict.fromkeys(tests[path], 0.0)  # its doctests

    def of(self, path: str, line: int) -> list[str]:
        """Return the tests that run a line; of a line run at import, those that run the file.

        Of a line that is compiled, or that no test is seen to run: the tests of the files that
        import it.
        """
        contexts = self.data.contexts_by_lineno(str(self.root / path))
        lines = _lines_of_function(self.root / path, line)
        names = {name for number in lines or contexts for name in contexts.get(number, ())}
        names &= self.recorded
        if not names or _is_compiled(self.root / path, line):
            names = {name for user in self._users(path) for name in self._of_file(user)}
        return sorted(names & self.recorded, key=lambda name: self.seconds[name])

    def _of_file(self, path: Path) -> set[str]:
        """Return the tests that run a line of a file's functions."""
        contexts = self.data.contexts_by_lineno(str(path))
        inside = (number for number in contexts if _lines_of_function(path, number))
        return {name for number in inside for name in contexts[number]}

    def _users(self, path: str) -> list[Path]:
        """Return a file, and those that import it, or else its folder, which loads it by name."""
        file = self.root / path
        others = {
            other: other.read_text(encoding="utf-8")
            for other in (self.root / path.partition("/")[0]).rglob("*.py")
        }
        folder = re.compile(rf"{re.escape('.'.join(Path(path).parts[:-1]))}\b")
        for words in (_imports(path), folder):
            if found := [other for other, text in others.items() if words.search(text)]:
                break
        return [file, *found]


def _imports(path: str) -> re.Pattern[str]:
    """Return what an import of a file looks like."""
    own = Path(path).with_suffix("").parts
    folder, whole = (re.escape(".".join(parts)) for parts in (own[:-1], own))
    return re.compile(rf"{whole}\b|from {folder} import (\([^)]*|.*)\b{own[-1]}\b")


def _public_names(tree: ast.Module) -> set[str]:
    """Return the functions, classes and constants of a module that others may name."""
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assigned = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    names = {node.name for node in defined} | set(assigned)
    return {name for name in names if not name.startswith("_")}


def _defined_at(tree: ast.Module, line: int) -> set[str]:
    """Return the functions and classes that hold a line."""
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.lineno <= line <= (node.end_lineno or 0)
    }


@cache
def _test_functions(root: Path) -> dict[str, dict[str, set[str]]]:
    """Return the words of each function and class of each test file.

    The words of a table or helper of the file that it names are its own.
    """
    found = {}
    for file in (root / "tests").glob("test_*.py"):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        defined = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        words = {node.name: _words(node) for node in defined}
        tables = {
            word: _words(node.value)
            for node in body
            if isinstance(node, ast.Assign)
            for target in node.targets
            for word in _words(target)
        }
        known = words | tables
        found[str(file.relative_to(root))] = {
            name: own.union(*(known[word] for word in own & known.keys()))
            for name, own in words.items()
        }
    return found


def _words(node: ast.AST) -> set[str]:
    return set(re.findall(r"\w+", ast.unparse(node)))


def _of_files(tests: Iterable[str]) -> dict[str, list[str]]:
    """Return tests by file."""
    files = defaultdict(list)
    for test in tests:
        files[test.partition("::")[0]].append(test)
    return files


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
