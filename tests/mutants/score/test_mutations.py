"""The mutations do what they say, and what is listed as equivalent is still one of them."""

from __future__ import annotations

import ast

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

from .mutations import Mutation, all_equivalents, files, mutations_of
from .operators import RemoveElement, RemoveKeywordArgument, RemoveStatement
from .runner import MutatedFinder

OWN_OPERATORS = (RemoveElement, RemoveKeywordArgument, RemoveStatement)
SAMPLE = "core/decisions/admission_rules.py"


@pytest.mark.parametrize("operator", OWN_OPERATORS, ids=lambda operator: operator.__name__)
def test_an_operator_does_what_its_examples_say(operator: type[Operator]) -> None:
    for example in operator.examples():
        mutated = mutate_code(example.pre_mutation_code, operator(), example.occurrence)
        assert mutated == example.post_mutation_code


def test_every_file_of_the_lifecycles_and_decisions_is_mutated() -> None:
    assert {"core/lifecycles/agent.py", "core/decisions/labels/assess_labels.py"} < set(files())


def test_a_mutation_changes_one_place() -> None:
    mutations = [
        mutation for mutation in mutations_of(SAMPLE) if mutation.operator == "ReplaceComparisonOperator_Lt_LtE"
    ]
    assert [mutation.lines for mutation in mutations] == [
        (
            'return Check(rule, {"limit": limit, "has": has}, has < limit, reason)',
            'return Check(rule, {"limit": limit, "has": has}, has <= limit, reason)',
        )
    ]
    assert mutations[0].changes_something


def test_what_no_test_can_notice_is_no_mutation() -> None:
    assert not any(mutation.changes_something for mutation in mutations_of("core/decisions/__init__.py"))
    unchanged = Mutation(SAMPLE, "AddNot", 0)
    unchanged.__dict__["mutated"] = unchanged.source.replace("counted: int", "counted: float")
    assert not unchanged.changes_something


def test_the_mutated_module_is_loaded_in_the_place_of_the_file() -> None:
    mutation = next(iter(mutations_of(SAMPLE)))
    finder = MutatedFinder(mutation)
    assert finder.find_spec("mephisto_es.core.decisions.review", None) is None
    spec = finder.find_spec("mephisto_es.core.decisions.admission_rules", None)
    assert spec is not None
    assert spec.loader is not None
    code = spec.loader.get_code(spec.name)  # type: ignore[attr-defined]  # that of a source file
    assert code.co_consts != compile(ast.parse(mutation.source), "", "exec").co_consts


def test_what_is_equivalent_is_still_a_mutation_and_has_a_reason() -> None:
    for equivalent in all_equivalents():
        assert equivalent.reason.endswith(".")
        found = [mutation for mutation in mutations_of(equivalent.file) if equivalent.is_of(mutation)]
        assert found, f"{equivalent.file} cannot be changed from {equivalent.before!r} to {equivalent.after!r}"
