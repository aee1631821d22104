"""The mutations of a source file: cosmic-ray's operators, but where no result can depend on them.

Left out by rules of the syntax tree, never by single lines: see `RULES`.
"""

import ast
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

UNUSED = ("variable_replacer", "variable_inserter", "no_op")  # the first two need names given
SILENT = ("overload", "final", "cache")
GUARDS = {"zip": ("strict",), "dataclass": ("frozen", "eq")}
GENERATORS = ("manual_seed", "default_rng")
RULES = {
    "annotation": "annotations, which nothing computes with",
    "decorator": "`@overload`, `@final` and `@cache`: for type checkers, and to keep what is "
    "computed anyway",
    "guard": "zip's `strict`, and `frozen` and `eq` of dataclasses: they refuse what a right "
    "program never does",
    "seed": "numbers in the seed of a generator (`manual_seed(0)`, `default_rng([seed, 2])`): "
    "with another the program is as right",
}
"""The rules of what is left out, by name, each with its reason."""
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


def mutations(root: Path, path: str) -> tuple[list[list[Mutation]], Counter[str]]:
    """Return the mutations of one file by places in the source, and the places left out by rule."""
    source = (root / path).read_text(encoding="utf-8")
    spans = list(_left_out(ast.parse(source)))
    places: dict[Place, list[Mutation]] = defaultdict(list)
    left_out: dict[Place, str] = {}
    counts: dict[str, int] = defaultdict(int)
    for node in ast_nodes(get_ast(source)):
        for name, operator in operators().items():
            for start, _ in operator.mutation_positions(node):
                rule = next((rule for rule, first, last in spans if first <= start < last), None)
                if rule:
                    left_out[start] = rule
                elif not _is_punctuation(node):
                    places[start].append(Mutation(path, *start, name, counts[name]))
                counts[name] += 1
    return [places[start] for start in sorted(places)], Counter(left_out.values())


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


def _left_out(tree: ast.Module) -> Iterator[tuple[str, Place, Place]]:
    """Find the spans that `RULES` leave out, each with its rule."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if span := getattr(node, name, None):
                yield "annotation", *_span(span)
        for decorator in getattr(node, "decorator_list", []):
            if ast.unparse(decorator) in SILENT:
                yield "decorator", *_span(decorator)
        if isinstance(node, ast.Call):
            guards = GUARDS.get(_name(node), ())
            spans = [("guard", word) for word in node.keywords if word.arg in guards]
            spans += [("seed", number) for number in _seeds(node)]
            for rule, span in spans:
                yield rule, *_span(span)


def _span(node: Any) -> tuple[Place, Place]:
    """Return where a node begins, with the sign before it (``@``, ``:``), and where it ends."""
    return (node.lineno, node.col_offset - 1), (node.end_lineno, node.end_col_offset)


def _name(call: ast.Call) -> str:
    """Return the last word of what is called."""
    return ast.unparse(call.func).rpartition(".")[2]


def _seeds(call: ast.Call) -> list[ast.expr]:
    """Return the numbers that seed a generator, alone or in a list.

    Not those in a term: ``seed + 1`` tells a seed from another, which ``seed + 0`` does not.
    """
    if _name(call) not in GENERATORS or not call.args:
        return []
    seed = call.args[0]
    parts = seed.elts if isinstance(seed, ast.List) else [seed]
    return [part for part in parts if isinstance(part, ast.Constant)]
