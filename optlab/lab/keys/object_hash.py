"""A hash of all that an object is made of, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from optlab.lab.keys.object_parts import Unordered, parts
from optlab.lab.keys.source_hash import source_hash


class _Node(NamedTuple):
    parts: list[bytes | int]
    """What it holds: a plain value in bytes, or the number of another node."""
    in_order: bool


def object_hash(value: object) -> str:
    """Return a hash of a value and of all that it holds, however deep, cycles included.

    Equal values have one hash, whether what they hold is shared or copied. Nothing that differs
    between processes counts: addresses, or the order of a set.
    """
    nodes = _graph([value])
    digests: dict[int, bytes] = {}
    for members in _inside_out(nodes):
        within = set(members)
        cyclic = any(part in within for number in members for part in nodes[number].parts)
        digests.update(dict.fromkeys(members, b""))
        digests |= {number: _told(nodes[number], digests) for number in members}
        # Each round tells apart what the one before told apart, and what differs one step further
        # on, until no round tells more: what then is told alike is alike.
        kinds = 0
        while cyclic and kinds < (kinds := len({digests[number] for number in members})):
            digests |= {number: _told(nodes[number], digests) for number in members}
        if cyclic:
            all_kinds = hashlib.sha256(b"".join(sorted({digests[n] for n in members}))).digest()
            digests |= {n: hashlib.sha256(digests[n] + all_kinds).digest() for n in members}
    return digests[0].hex()


def _graph(kept: list[object]) -> list[_Node]:
    """Return a value, and all that it holds, as nodes that number one another.

    All are kept alive meanwhile, so that no address is used again.
    """
    numbers = {id(value): number for number, value in enumerate(kept)}

    def told(part: object) -> bytes | int:
        if (plain := _plain(part)) is not None:
            return plain
        if id(part) not in numbers:
            numbers[id(part)] = len(kept)
            kept.append(part)
        return numbers[id(part)]

    nodes = []
    sources = cache(source_hash)  # for as long as this takes: files change
    for value in kept:  # it grows meanwhile
        held = parts(value, sources)
        nodes.append(_Node([told(part) for part in held], not isinstance(held, Unordered)))
    return nodes


def _plain(value: object) -> bytes | None:
    if isinstance(value, memoryview):
        return b"bytes" + hashlib.sha256(value).digest()
    if type(value) is int:
        return b"int %x" % value  # a long one has no decimal digits
    if type(value) in (bool, float, complex, str, bytes) or value is None:
        return f"{type(value).__name__} {value!r}".encode(errors="surrogatepass")
    return None


def _inside_out(nodes: list[_Node]) -> list[list[int]]:
    """Return the nodes, those together that hold each other, each group after what it holds."""
    edges = {(n, part) for n, node in enumerate(nodes) for part in node.parts if type(part) is int}
    start, end = np.array(list(edges), dtype=np.int64).reshape(-1, 2).T
    shape = (len(nodes), len(nodes))
    matrix = coo_array((np.ones(len(edges), dtype=np.int8), (start, end)), shape=shape)
    count, group = connected_components(matrix.tocsr(), directed=True, connection="strong")
    members: list[list[int]] = [[] for _ in range(count)]
    for number, its in enumerate(group.tolist()):
        members[its].append(number)
    holds: dict[int, set[int]] = {its: set() for its in range(count)}
    for one, other in zip(group[start].tolist(), group[end].tolist(), strict=True):
        if one != other:
            holds[one].add(other)
    return [members[its] for its in TopologicalSorter(holds).static_order()]


def _told(node: _Node, digests: Mapping[int, bytes]) -> bytes:
    each = [
        b"plain %d " % len(part) + part if isinstance(part, bytes) else b"node " + digests[part]
        for part in node.parts
    ]
    told = b"\0".join(each if node.in_order else sorted(each))
    return hashlib.sha256(told if node.in_order else b"in any order " + told).digest()
