"""The mutations of a source file: those of cosmic-ray's operators, outside annotations."""

import ast
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

UNUSED = ("variable_replacer", "variable_inserter", "no_op")  # the first two need names given
SILENT = ("overload", "cache")
BITS = {"BitOr", "BitAnd", "BitXor", "LShift", "RShift"}
Place = tuple[int, int]


@dataclass(frozen=True)
class Mutation:
    """One small change: at the ``occurrence``-th place where an operator applies in a file."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int

    def code(self, source: str) -> str:
        """Return the source with this change."""
        changed = mutate_code(source, operators()[self.operator], self.occurrence)
        assert changed is not None, self
        return changed

    def text(self, source: str) -> tuple[str, str]:
        """Return the line before and after the change."""
        before, after = source.splitlines(), self.code(source).splitlines()
        was = before[self.line - 1].strip()
        return was, (after[self.line - 1].strip() if len(before) == len(after) else "(removed)")


@cache
def operators() -> dict[str, Any]:
    """Return cosmic-ray's operators by name, but for bits in place of arithmetic.

    Floats refuse those at once, so that they would flatter the tests.
    """
    kinds = {
        name.rpartition("/")[2]: cosmic_ray.plugins.get_operator(name)
        for name in cosmic_ray.plugins.operator_names()
    }
    return {
        name: kind()
        for name, kind in kinds.items()
        if not kind.__module__.endswith(UNUSED) and not _mixes_bits_and_numbers(name)
    }


def mutations(root: Path, path: str) -> list[list[Mutation]]:
    """Return the mutations of one file, as one list for each place in the source."""
    source = (root / path).read_text(encoding="utf-8")
    annotated = list(_annotations(ast.parse(source)))
    places: dict[Place, list[Mutation]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for node in ast_nodes(get_ast(source)):
        for name, operator in operators().items():
            for start, _ in operator.mutation_positions(node):
                annotation = any(first <= start < last for first, last in annotated)
                if not annotation and not _is_punctuation(node):
                    places[start].append(Mutation(path, *start, name, counts[name]))
                counts[name] += 1
    return [places[start] for start in sorted(places)]


def sample(places: list[list[Mutation]], size: int, draw: random.Random) -> list[Mutation]:
    """Draw places at equal distances, from a random start, and one mutation of each."""
    step = len(places) / size
    first = draw.random() * step
    return [draw.choice(places[int(first + k * step)]) for k in range(size)]


def _mixes_bits_and_numbers(name: str) -> bool:
    kind, *pair = name.split("_")
    return kind == "ReplaceBinaryOperator" and (pair[0] in BITS) != (pair[1] in BITS)


def _is_punctuation(node: Any) -> bool:
    """Tell whether a node is a star or slash of a signature or of a dict, not an operator."""
    kinds = ("parameters", "lambdef", "dictorsetmaker")
    return node.type == "operator" and node.parent.type in kinds


def _annotations(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    """Find the spans of what makes no difference to any result of a right program.

    Annotations, decorators that only type checkers read or that keep results (``@cache``), and
    zip's ``strict``, which guards what is of one length.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "strict":
            yield (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        spans = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        spans += getattr(node, "decorator_list", [])
        for span in spans:
            if span is None or (span in spans[2:] and ast.unparse(span) not in SILENT):
                continue
            yield (span.lineno, span.col_offset - 1), (span.end_lineno, span.end_col_offset)
