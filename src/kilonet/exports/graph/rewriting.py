"""The list of operators while rules rewrite it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kilonet.exports.graph.operators import Operator, Shape


class Net:
    """The operators while they are being rewritten."""

    def __init__(self, operators: Sequence[Operator], outputs: Mapping[str, str]) -> None:
        self.operators = list(operators)
        self.outputs = dict(outputs)

    def maker(self, op: Operator) -> Operator | None:
        """Return what makes the first value that ``op`` reads, if nothing else reads that."""
        made = next((other for other in self.operators if other.output == op.source), None)
        alone = self.readers(op.source) == 1
        return made if alone else None

    def making(self, value: str) -> Operator | None:
        """Return what makes ``value``, whoever reads it."""
        return next((op for op in self.operators if op.output == value), None)

    def shape(self, value: str) -> Shape:
        """Return the shape of a value that an operator makes."""
        made = self.making(value)
        assert made is not None
        return made.shape

    def only_user(self, op: Operator) -> Operator | None:
        """Return what reads the value of ``op``, if that is one operator and no output."""
        users = [user for user in self.operators if op.output in user.sources]
        return users[0] if self.readers(op.output) == 1 and users else None

    def readers(self, value: str) -> int:
        """Return how often ``value`` is read, as an output too."""
        inside = sum(op.sources.count(value) for op in self.operators)
        return inside + list(self.outputs.values()).count(value)

    def put(self, old: Sequence[Operator], new: Sequence[Operator]) -> None:
        """Replace neighbours: the new ones stand where the last of the old ones stood."""
        place = self.operators.index(old[-1])
        self.operators[place : place + 1] = new
        for op in old[:-1]:
            self.operators.remove(op)

    def move_ahead(self, op: Operator, before: Operator, inner: str) -> None:
        """Let ``op`` work on what ``before`` reads, and ``before`` on that, the value ``inner``."""
        shape = self.shape(before.source)
        first = replace(op, output=inner, sources=before.sources, shape=shape)
        self.put([before, op], [first, replace(before, output=op.output, sources=(inner,))])

    def rename(self, value: str, other: str) -> None:
        """Let all that reads ``value`` read ``other``."""
        names = {value: other}
        self.operators = [
            replace(op, sources=tuple(names.get(source, source) for source in op.sources))
            for op in self.operators
        ]
        self.outputs = {key: names.get(name, name) for key, name in self.outputs.items()}


Rule = Callable[[Net, Operator], bool]
"""Changes the net at one operator, or says False and leaves it alone."""


def apply(net: Net, rules: Sequence[Rule]) -> None:
    """Apply ``rules`` until none changes anything, then drop what nothing reads."""
    while any(rule(net, op) for rule in rules for op in list(net.operators)):
        pass
    for op in reversed(list(net.operators)):
        if not net.readers(op.output):
            net.operators.remove(op)
