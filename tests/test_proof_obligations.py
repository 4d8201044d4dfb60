"""Nothing is taken for granted that is not proved, and no answer but a proof is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter

import pytest

from model_check.proof import examples
from model_check.proof.prove import NEEDS, Question, Try, settle
from model_check.proof.solvers import SOLVER_NAMES, Attempt, SolverName, core, is_proved, model
from spec.proof.action import Action
from spec.proof.actions import ACTIONS
from spec.proof.consequences import CONSEQUENCES, at_what_is_committed
from spec.proof.invariant import Argument, Invariant
from spec.proof.invariants import INVARIANTS
from spec.proof.obligations import ARGUMENTS, Obligation, Theory
from spec.proof.smtlib import Names, script
from spec.proof.splitting import whole
from spec.proof.terms import Function, Term, constant, equal, every, goals, negation, some, term_of
from spec.proof.vocabulary import ASSUMPTIONS, node
from spec.proof.world import ANY, World

BRIEF = Attempt(seed=0, milliseconds=300)


# --- a solver's answer ----------------------------------------------------------------------------


OPEN = """
(set-logic ALL)
(declare-fun a () Int)
(declare-fun b () Int)
(declare-fun c () Int)
(assert (= 114 (+ (* a a a) (* b b b) (* c c c))))
(check-sat)
"""
"""Whether 114 is a sum of three cubes: no mathematician knows, and no solver finds out in time."""
FALSE = script({}, equal(constant("a", "Int"), 1))
TRUE_OF = {"a": equal(constant("a", "Int"), 1)}
TRUE = script(TRUE_OF, TRUE_OF["a"])
PRODUCES_CORES = "(set-option :produce-unsat-cores true)"


@pytest.mark.parametrize("solver", SOLVER_NAMES)
def test_only_a_proof_is_a_proof(solver: SolverName) -> None:
    assert is_proved(solver, TRUE, BRIEF)
    assert not is_proved(solver, FALSE, BRIEF)
    assert not is_proved(solver, OPEN, BRIEF), "a solver that does not know has proved nothing"


@pytest.mark.parametrize("solver", SOLVER_NAMES)
def test_only_a_proof_has_a_core(solver: SolverName) -> None:
    assert core(solver, PRODUCES_CORES + OPEN, BRIEF) is None
    assert core(solver, PRODUCES_CORES + FALSE, BRIEF) is None
    assert core(solver, script(TRUE_OF, TRUE_OF["a"], cores=True), BRIEF) == ["a"]


def test_only_a_world_that_was_found_is_shown() -> None:
    assert model(TRUE, 300) is None
    assert model(OPEN, 300) is None
    assert model(FALSE, 300) is not None


def test_an_action_that_contradicts_an_invariant_is_not_possible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examples, "WORLDS", examples.WORLDS[:1])
    (action,) = (each for each in ACTIONS if each.name == "change-role")
    assert examples.possible(action, 2_000)
    rises = negation(ANY.term(node("server")) < 0)
    never = replace(action, is_such=lambda _: {"falls": negation(rises)})
    assert not examples.possible(never, 2_000)


@pytest.mark.parametrize("solver", SOLVER_NAMES)
def test_what_a_solver_does_not_know_is_unknown_after_all_tries(solver: SolverName) -> None:
    question = Question("a", "lemma", "", "a", OPEN, OPEN)
    tries = (Try(narrow=True, milliseconds=100), Try(narrow=False, milliseconds=100))
    found = settle(question, solver, 0, tries)
    assert (found.verdict, found.attempts) == ("unknown", 2)


# --- what a question leaves out -------------------------------------------------------------------


def test_a_question_is_of_the_goal_and_of_no_hypothesis_but_its_own() -> None:
    for obligation in obligations()[::40]:
        question = Question.of(obligation)
        assert question.wide == script(obligation.hypotheses, obligation.goal)
        few = {name: obligation.hypotheses[name] for name in NEEDS[obligation.name]}
        assert question.narrow == script(few, obligation.goal)


def test_a_script_asks_for_all_hypotheses_and_the_negated_goal() -> None:
    hypothesis, goal = equal(constant("a", "Int"), 1), equal(constant("b", "Int"), 2)
    asserted = [line for line in script({"h": hypothesis}, goal).splitlines() if "assert" in line]
    assert asserted == ["(assert (= a 1))", "(assert (not (= b 2)))"]


# --- what may be taken for granted ----------------------------------------------------------------


@cache
def obligations() -> tuple[Obligation, ...]:
    return tuple(Theory().obligations())


def is_same(one: Term, other: Term) -> bool:
    """Whether two formulas differ in nothing but the names of their variables."""
    return one is other or Names().written(one) == Names().written(other)


AT_ANY_MOMENT = {
    **ASSUMPTIONS,
    **{each.name: each.formula(ANY) for each in (*INVARIANTS, *CONSEQUENCES)},
}
ARGUMENT_OF = {each.name: each.argument for each in (*INVARIANTS, *CONSEQUENCES)}
LEMMAS = {
    (action.name, name): formula for action in ACTIONS for name, formula in action.lemmas.items()
}


def allowed(obligation: Obligation) -> Mapping[str, Term]:
    """By name: all that an obligation may take for granted."""
    if obligation.kind == "splitting":
        return whole()
    if obligation.kind == "initiation":
        return ASSUMPTIONS
    if not obligation.action:
        return AT_ANY_MOMENT
    (action,) = (each for each in ACTIONS if each.name == obligation.action)
    return {**AT_ANY_MOMENT, **action.hypotheses(), **action.lemmas}


@pytest.mark.parametrize("kind", sorted({each.kind for each in obligations()}))
def test_a_hypothesis_is_what_its_name_says_before_the_action_is_taken(kind: str) -> None:
    """An invariant that is assumed of the world after it would prove itself."""
    alike = {  # those that are known to rest on the same: one of each
        (each.action, frozenset(each.hypotheses)): each
        for each in obligations()
        if each.kind == kind
    }
    for obligation in alike.values():
        known = allowed(obligation)
        for name, formula in obligation.hypotheses.items():
            if kind == "splitting" and name == "condition":
                continue  # of the step itself: when its part is taken
            said = known[name]
            if (obligation.about, name) == ("committed-is-in-later-logs", "later-leaders-have-it"):
                said = at_what_is_committed(ANY)
            assert is_same(formula, said), (obligation.name, name)


def argument_of(obligation: Obligation) -> Argument | None:
    if obligation.kind == "lemma" and obligation.action:
        (action,) = (each for each in ACTIONS if each.name == obligation.action)
        return action.lemmas_from
    return ARGUMENT_OF.get(obligation.about)


def test_an_argument_rests_on_itself_and_on_those_before_it_alone() -> None:
    """That of completeness is of one entry and one majority, of which that of commit knows
    nothing."""
    order = list(ARGUMENTS)
    for argument, others in ARGUMENTS.items():
        assert all(order.index(other) <= order.index(argument) for other in others)
    assert "completeness" not in ARGUMENTS["commit"]
    for obligation in obligations():
        own = argument_of(obligation)
        if own is None:
            continue
        rests_on = {ARGUMENT_OF[name] for name in obligation.hypotheses if name in ARGUMENT_OF}
        if obligation.about == "committed-is-in-later-logs":
            rests_on -= {"completeness"}  # of one instance, that is proved of all
        assert rests_on <= set(ARGUMENTS[own]), obligation.name


def test_no_lemma_is_used_in_its_own_proof() -> None:
    """Nor in that of one that it rests on. Invariants are another thing: they are known of the
    moment before, by induction."""
    rests_on: dict[tuple[str, str], set[tuple[str, str]]] = {}
    consequences = {("", each.name) for each in CONSEQUENCES}
    for obligation in obligations():
        if obligation.kind != "lemma":
            continue
        lemma = obligation.action, obligation.about
        used = {(obligation.action, name) for name in obligation.hypotheses} & LEMMAS.keys()
        used |= {("", name) for name in obligation.hypotheses} & consequences
        rests_on.setdefault(lemma, set()).update(used)
    assert rests_on.keys() == LEMMAS.keys() | consequences  # each is proved
    list(TopologicalSorter(rests_on).static_order())  # fails where there is a circle
    for action in ACTIONS:  # each with those before it
        names = list(action.lemmas)
        for number, name in enumerate(names):
            found = {other for _, other in rests_on[action.name, name] if other in names}
            assert found == set(names[:number])


@pytest.mark.parametrize("action", [each for each in ACTIONS if each.lemmas], ids=lambda a: a.name)
def test_a_lemma_that_is_wrong_is_to_be_proved_and_does_not_prove_itself(action: Action) -> None:
    wrong = every(("Node",), lambda n: ANY.term(n) < 0)
    theory = Theory((), actions=(replace(action, lemmas={"wrong": wrong}),))
    (lemma,) = (each for each in theory.obligations() if each.about == "wrong")
    assert lemma.kind == "lemma"
    assert "wrong" not in lemma.hypotheses
    assert is_refuted(lemma)


# --- what is to be proved ------------------------------------------------------------------------


def is_refuted(obligation: Obligation) -> bool:
    """Whether no solver proves it, though it is asked of all that is assumed."""
    question = Question.of(obligation)
    tries = (
        Try(narrow=False, milliseconds=500),
        Try(narrow=False, milliseconds=500, by_models=False),
    )
    return settle(question, "z3", 0, tries).verdict == "unknown"


def never(argument: Argument) -> Invariant:
    """An invariant that does not hold at the beginning, but is kept by whatever happens."""

    def formula(world: World) -> Term:
        return some(("Node",), lambda n: world.led(n, term_of(1)))

    return Invariant(f"someone-has-led ({argument})", argument, "", formula)


def unsteady(argument: Argument) -> Invariant:
    """An invariant that holds at the beginning, and until somebody enters a term."""

    def formula(world: World) -> Term:
        return every(("Node",), lambda n: equal(world.term(n), 0))

    return Invariant(f"nobody-enters-a-term ({argument})", argument, "", formula)


def test_what_does_not_hold_at_the_beginning_or_is_not_kept_is_no_invariant() -> None:
    """Of whatever argument it is."""
    wrong, broken = tuple(map(never, ARGUMENTS)), tuple(map(unsteady, ARGUMENTS))
    found = list(Theory((*wrong, *broken)).obligations())
    begins = [each for each in found if each.kind == "initiation"]
    assert [each.about for each in begins] == [each.name for each in wrong]
    for obligation in begins:
        assert set(obligation.hypotheses) == set(ASSUMPTIONS)
        assert is_refuted(obligation)
    kept = [each for each in found if each.kind == "consecution"]
    entered = {each.about for each in kept if each.action == "enter"}  # by which terms change
    assert entered == {each.name for each in broken}
    elected = {each.about for each in kept if each.action == "elect"}
    assert elected == {each.name for each in wrong}


def test_what_an_action_does_is_looked_at_however_alike_it_is_written() -> None:
    """A formula that only looks like the one before it is another one."""
    role = Function("elor", "Int", 1)  # of as many letters
    (action,) = (each for each in ACTIONS if each.name == "change-role")
    odd = replace(action, after=replace(ANY, role=role))
    follows = every(("Node",), lambda n: equal(ANY.role(n), 0))

    def formula(world: World) -> Term:
        return every(("Node",), lambda n: equal(world.role(n), 0))

    theory = Theory((Invariant("all-follow", "election", "", formula),), actions=(odd,))
    (kept,) = (each for each in theory.obligations() if each.kind == "consecution")
    assert not is_same(kept.goal, next(goals(follows)))
