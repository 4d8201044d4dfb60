"""Entering a term, voting, standing for election, and becoming leader."""

from __future__ import annotations

from dataclasses import replace

from spec.proof.action import SERVER, Action, Choice, at_server, did_not_lead, step_of
from spec.proof.step import EvidenceTerms, StepTerms
from spec.proof.terms import (
    FALSE,
    Term,
    both,
    choose,
    constant,
    differ,
    either,
    equal,
    implies,
    negation,
    term_of,
)
from spec.proof.vocabulary import FOLLOWER, LEADER, node, number
from spec.proof.world import ANY


def enter() -> Action:
    """Its term changes: the vote, the role and all evidence were of the old one; the log with which
    it enters is remembered."""
    term, role, own = number("new_term"), number("entered_role"), ANY.server(SERVER)
    after = replace(own, term=term, has_voted=FALSE, role=role)

    def is_here(n: Term, t: Term) -> Term:
        return both(equal(n, SERVER), equal(t, term))

    world = replace(
        ANY,
        term=at_server(term, ANY.term),
        has_voted=at_server(FALSE, ANY.has_voted),
        role=at_server(role, ANY.role),
        grants=lambda n, m: both(differ(n, SERVER), ANY.grants(n, m)),
        acknowledged=lambda n, m: choose(equal(n, SERVER), 0, ANY.acknowledged(n, m)),
        confirmed=at_server(term_of(0), ANY.confirmed),
        claimed=at_server(term_of(0), ANY.claimed),
        entered_entry=lambda n, t, i: choose(
            is_here(n, t), ANY.entry(SERVER, i), ANY.entered_entry(n, t, i)
        ),
        entered_length=lambda n, t: choose(is_here(n, t), own.log.length, ANY.entered_length(n, t)),
    )
    nothing = EvidenceTerms(
        grants=lambda _: FALSE,
        acknowledged=lambda _: term_of(0),
        confirmed=term_of(0),
        claimed=term_of(0),
        ever_applied=ANY.ever_applied(SERVER),
    )
    step = step_of(after, evidence=nothing)
    does = "enters another term, and has no vote in it yet"
    return Action("enter", does, step, world, _changes_term)


def _changes_term(step: StepTerms) -> dict[str, Term]:
    role = either(equal(step.after.role, FOLLOWER), step.leads_among_others)  # see TERM-STEP-DOWN
    return {"another-term": negation(step.keeps_term), "role": role}


def vote() -> Action:
    """Its vote changes, in its term; or it takes none, and nothing changes."""
    vote, own = node("new_vote"), ANY.server(SERVER)
    has_voted = constant("has_new_vote", "Bool")
    after = replace(own, has_voted=has_voted, vote=vote)
    world = replace(
        ANY,
        has_voted=at_server(has_voted, ANY.has_voted),
        vote=at_server(vote, ANY.vote),
        voted=lambda n, t, c: either(
            ANY.voted(n, t, c),
            both(has_voted, equal(n, SERVER), equal(t, own.term), equal(c, vote)),
        ),
    )
    return Action("vote", "gives its vote", step_of(after), world)


def change_role() -> Action:
    """Its role changes, but for becoming leader."""
    role, own = number("new_role"), ANY.server(SERVER)
    world = replace(ANY, role=at_server(role, ANY.role))
    does = "becomes a follower, or a candidate"
    return Action("change-role", does, step_of(replace(own, role=role)), world, _does_not_lead)


def _does_not_lead(step: StepTerms) -> dict[str, Term]:
    return {"not-a-leader": differ(step.after.role, LEADER)}


def elect() -> Action:
    """It becomes leader: what its log is from then on is the log of the leader of the term."""
    own, quorum = ANY.server(SERVER), constant("votes", "Quorum")
    term, log = own.term, own.log
    step = step_of(replace(own, role=LEADER))
    raises = ANY.claim(term) < own.commit

    def is_own(t: Term) -> Term:
        return equal(t, term)

    world = replace(
        ANY,
        role=at_server(LEADER, ANY.role),
        led=lambda n, t: either(ANY.led(n, t), both(equal(n, SERVER), is_own(t))),
        started=lambda t: either(ANY.started(t), is_own(t)),
        leader=lambda t: choose(is_own(t), SERVER, ANY.leader(t)),
        electors=lambda t: choose(is_own(t), quorum, ANY.electors(t)),
        led_entry=lambda t, i: choose(is_own(t), log.at(i), ANY.led_entry(t, i)),
        led_length=lambda t: choose(is_own(t), log.length, ANY.led_length(t)),
        held=lambda n, t, i: either(
            ANY.held(n, t, i), both(equal(n, SERVER), is_own(t), log.covers(i))
        ),
        claim=lambda t: choose(both(is_own(t), raises), own.commit, ANY.claim(t)),
        claim_term=lambda t: choose(
            both(is_own(t), raises), ANY.commit_term(SERVER), ANY.claim_term(t)
        ),
    )
    chosen = {"votes": Choice(("Quorum",), step.elects, (quorum,))}
    again = {"led-by-it-if-at-all": implies(ANY.started(term), ANY.led(SERVER, term))}
    return Action("elect", "becomes leader", step, world, did_not_lead, chosen, again, "election")
