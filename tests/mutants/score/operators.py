"""Mutation operators beyond those of Cosmic Ray: what is forgotten in code that is mostly tables and events."""

from __future__ import annotations

from collections.abc import Iterator

import parso
from cosmic_ray.operators.operator import Example, Operator
from parso.tree import BaseNode, NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]


class RemoveElement(Operator):  # type: ignore[misc]  # the library has no types
    """Removes an element of a tuple, list or set that has several: a row of a table, an event."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """Return where the elements are."""
        return (_position(element) for element in _elements(node))

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        """Remove an element."""
        elements = _elements(node)
        return _without(node, elements[index], keeps_comma=len(elements) == 2)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does."""
        return (Example("x = (a, b, c)", "x = ( b, c)"), Example("x = [a, b]", "x = [a,]", occurrence=1))


class RemoveKeywordArgument(Operator):  # type: ignore[misc]  # the library has no types
    """Removes a keyword argument of a call, so that a field keeps its value or its default."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """Return where the arguments are."""
        return (_position(argument) for argument in _keyword_arguments(node))

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        """Remove an argument."""
        return _without(node, _keyword_arguments(node)[index], keeps_comma=False)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does."""
        return (Example("f(x, y=1)", "f(x)"), Example("f(x=1)", "f()"), Example("f(x=1, y=2)", "f( y=2)"))


class RemoveStatement(Operator):  # type: ignore[misc]  # the library has no types
    """Removes a statement that only has an effect: a call, an error that is raised, an addition."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """Return where the statement is."""
        if node.type == "simple_stmt" and isinstance(node, BaseNode) and _has_only_an_effect(node.children[0]):
            yield _position(node.children[0])

    def mutate(self, node: BaseNode, index: int) -> BaseNode:
        """Put `pass` in its place."""
        nothing = parso.parse("pass").children[0]
        nothing.prefix = node.get_first_leaf().prefix
        node.children[0] = nothing
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does."""
        return (Example("if x:\n    raise E(1)\n", "if x:\n    pass\n"), Example("x.add(y)\n", "pass\n"))


def _elements(node: NodeOrLeaf) -> list[NodeOrLeaf]:
    if node.type not in {"testlist_comp", "testlist_star_expr", "dictorsetmaker"} or not isinstance(node, BaseNode):
        return []
    if any(child.type in {"sync_comp_for", "comp_for"} or child == ":" for child in node.children):
        return []
    # What is unpacked has to fit, and a target cannot be an element less.
    if node.parent is not None and node.parent.type in {"expr_stmt", "annassign"} and node.parent.children[0] is node:
        return []
    elements = [child for child in node.children if child != ","]
    return elements if len(elements) > 1 else []


def _keyword_arguments(node: NodeOrLeaf) -> list[NodeOrLeaf]:
    if node.type not in {"arglist", "trailer"} or not isinstance(node, BaseNode):
        return []
    # Those of a class say how it is built, not what is done.
    if node.parent is not None and node.parent.type == "classdef":
        return []
    return [
        child
        for child in node.children
        if child.type == "argument" and isinstance(child, BaseNode) and child.children[1] == "="
    ]


def _has_only_an_effect(statement: NodeOrLeaf) -> bool:
    if statement.get_first_leaf().value == "assert_never":
        return False
    if statement.type == "expr_stmt" and isinstance(statement, BaseNode):
        sign = statement.children[1]
        return bool(sign.type == "operator" and sign != "=")
    return str(statement.type) in {"raise_stmt", "atom_expr", "power", "yield_expr"}


def _without(node: BaseNode, child: NodeOrLeaf, *, keeps_comma: bool) -> BaseNode:
    at = node.children.index(child)
    if at + 1 < len(node.children) and node.children[at + 1] == ",":
        # Of two, `(a, b)`, the comma of the first one is needed by the other: `(b,)` has one of its own or gets this.
        comma = node.children[at + 1]
        del node.children[at : at + 2]
        if keeps_comma and node.children[-1] != ",":
            node.children.append(comma)
    elif at > 0 and node.children[at - 1] == "," and not keeps_comma:
        del node.children[at - 1 : at + 1]
    else:
        del node.children[at]
    return node


def _position(node: NodeOrLeaf) -> Position:
    return node.start_pos, node.end_pos
