"""Lists and makes the mutations of source files: Cosmic Ray finds where, and changes the syntax tree."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

from ..catalogue import ROOT
from .operators import RemoveElement, RemoveKeywordArgument, RemoveStatement

#: What is mutated.
FOLDERS = ("core/lifecycles", "core/decisions")
#: Survivors that are no gap in the tests.
EQUIVALENT_FILE = Path(__file__).with_name("equivalent.toml")
#: Those of Cosmic Ray. The others replace an operator by one that has nothing to do with it, which any test notices, or
#: change type annotations, which nothing can notice.
_LIBRARY_OPERATORS = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mul_FloorDiv",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ZeroIterationForLoop",
)


def _operators() -> dict[str, type[Operator]]:
    own = (RemoveElement, RemoveKeywordArgument, RemoveStatement)
    library = {name: get_operator(f"core/{name}") for name in _LIBRARY_OPERATORS}
    return {**library, **{operator.__name__: operator for operator in own}}


OPERATORS = _operators()


@dataclass(frozen=True)
class Mutation:
    """A small change of a file.

    Attributes:
        file: the file, relative to the root.
        operator: what is done.
        occurrence: which of the places in the file where it can be done.
    """

    file: str
    operator: str
    occurrence: int

    @cached_property
    def source(self) -> str:
        """The file before."""
        return (ROOT / self.file).read_text(encoding="utf-8")

    @cached_property
    def mutated(self) -> str:
        """The file after."""
        mutated = mutate_code(self.source, OPERATORS[self.operator](), self.occurrence)
        assert mutated is not None
        return str(mutated)

    @property
    def changes_something(self) -> bool:
        """False if the file is no longer Python, or only differs in annotations and the layout of structs."""
        try:
            after = ast.parse(self.mutated)
        except SyntaxError:
            return False
        return _meaning(after) != _meaning(ast.parse(self.source))

    @cached_property
    def lines(self) -> tuple[str, str]:
        """The lines that differ, before and after, without indentation."""
        lines = list(difflib.ndiff(self.source.splitlines(), self.mutated.splitlines()))
        before, after = ([line[2:].strip() for line in lines if line.startswith(sign)] for sign in ("- ", "+ "))
        return "\n".join(before), "\n".join(after)

    @cached_property
    def diff(self) -> str:
        """The change, for people."""
        before, after = self.source.splitlines(), self.mutated.splitlines()
        return "\n".join(difflib.unified_diff(before, after, self.file, self.operator, lineterm="", n=2))


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mutation that no test can or need notice."""

    file: str
    #: The lines that differ, without indentation.
    before: str
    after: str
    #: Why it is no gap in the tests.
    reason: str

    def is_of(self, mutation: Mutation) -> bool:
        """Return whether it is this mutation."""
        return self.file == mutation.file and (self.before, self.after) == mutation.lines


class _Equivalents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    equivalent: tuple[Equivalent, ...] = ()


def all_equivalents() -> tuple[Equivalent, ...]:
    """Return what is in `equivalent.toml`."""
    return msgspec.toml.decode(EQUIVALENT_FILE.read_bytes(), type=_Equivalents).equivalent


def files() -> list[str]:
    """Return the files that are mutated, relative to the root."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def mutations_of(file: str) -> Iterator[Mutation]:
    """Return the places where a file can be changed; some of them change nothing."""
    nodes = list(ast_nodes(get_ast((ROOT / file).read_text(encoding="utf-8"))))
    for name, operator_type in OPERATORS.items():
        operator = operator_type()
        places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        yield from (Mutation(file, name, number) for number in range(places))


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.keywords = []  # how a struct is kept in memory
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _meaning(tree: ast.Module) -> str:
    return ast.dump(_WithoutAnnotations().visit(tree))
