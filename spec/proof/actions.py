"""What a server may do, as conjunctions of guards.

A step of a server may do several things at once. It is then a run of these *actions*, each a step
of its own that changes one thing and obeys every rule, in the order in which they stand here; that
it is, is proved, too (`spec.proof.splitting`). So an invariant that each action keeps is kept by
every step that obeys the rules, whatever it does.

Each action is all guards, on what it changes (`Action.guards`), along with what is no rule: where
messages come from, and what ghosts remember of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spec.proof.guards import GUARDS
from spec.proof.invariant import Argument
from spec.proof.step import EventTerms, EvidenceTerms, OutputTerms, ServerTerms, StepTerms
from spec.proof.terms import (
    FALSE,
    TRUE,
    Function,
    Term,
    both,
    choose,
    constant,
    differ,
    either,
    equal,
    every,
    implies,
    negation,
    some,
    term_of,
)
from spec.proof.vocabulary import (
    APPEND_ENTRIES,
    FOLLOWER,
    LEADER,
    LogTerms,
    destination,
    entry_term,
    holds,
    is_acknowledgement,
    is_grant,
    kind,
    last_new_index,
    leader_commit,
    match_index,
    message_term,
    node,
    number,
    prev_log_index,
    source,
)
from spec.proof.world import ANY, World

SERVER = node("server")
"""Who acts."""
TIMED_OUT, RESTARTED = constant("timed_out", "Bool"), constant("restarted", "Bool")
RECEIVED, ARRIVED = constant("received", "Bool"), constant("arrived", "Message")
EVENT = EventTerms(TIMED_OUT, RESTARTED, RECEIVED, ARRIVED)
"""What happens to it."""
NO_OUTPUT = OutputTerms(FALSE, ARRIVED, FALSE, term_of(0), constant("no_entry", "Entry"))

DELIVERY = both(
    implies(RECEIVED, both(ANY.sent(ARRIVED), equal(destination(ARRIVED), SERVER))),
    negation(both(TIMED_OUT, RESTARTED)),
    negation(both(TIMED_OUT, RECEIVED)),
    negation(both(RESTARTED, RECEIVED)),
)
"""One thing happens to it; and a message that arrives has been sent, to it."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a server may do."""

    name: str
    does: str
    step: StepTerms
    after: World
    means: dict[str, Term]
    """By name: what is so of it that is no rule."""
    lemmas: dict[str, Term] = field(default_factory=dict)
    """By name: what follows, and is proved first, each with those before it."""
    lemmas_from: Argument = "log matching"
    """From what argument they follow."""

    @property
    def guards(self) -> dict[str, Term]:
        """By rule: what it asks of this action, if anything."""
        asked = {rule: guard(self.step) for rule, guard in GUARDS.items() if rule != DERIVED}
        return {rule: formula for rule, formula in asked.items() if formula != TRUE}

    def hypotheses(self, without: frozenset[str] = frozenset()) -> dict[str, Term]:
        """All that is known when it is taken, by servers that obey all rules but some."""
        kept = {rule: formula for rule, formula in self.guards.items() if rule not in without}
        return {**self.means, **kept}


DERIVED = "COMMIT-STABLE"
"""The rule that follows from the others, and so is no guard but a property."""


def _step(
    after: ServerTerms,
    *,
    evidence: EvidenceTerms | None = None,
    output: OutputTerms = NO_OUTPUT,
) -> StepTerms:
    """A step that does not change the log."""
    before = ANY.server(SERVER)
    return StepTerms(
        server=SERVER,
        before=before,
        event=EVENT,
        after=after,
        evidence=evidence or ANY.evidence(SERVER),
        output=output,
        removed=before.log.length + 1,
        keeps_log=TRUE,
    )


def _at_server(value: Term, part: Callable[..., Term]) -> Callable[..., Term]:
    """A part of a world that has another value for the server that acts."""
    return lambda n: choose(equal(n, SERVER), value, part(n))


def _enter() -> Action:
    term, role, own = number("new_term"), number("entered_role"), ANY.server(SERVER)
    after = replace(own, term=term, has_voted=FALSE, role=role)

    def is_here(n: Term, t: Term) -> Term:
        return both(equal(n, SERVER), equal(t, term))

    world = replace(
        ANY,
        term=_at_server(term, ANY.term),
        has_voted=_at_server(FALSE, ANY.has_voted),
        role=_at_server(role, ANY.role),
        grants=lambda n, m: both(differ(n, SERVER), ANY.grants(n, m)),
        acknowledged=lambda n, m: choose(equal(n, SERVER), 0, ANY.acknowledged(n, m)),
        confirmed=_at_server(term_of(0), ANY.confirmed),
        claimed=_at_server(term_of(0), ANY.claimed),
        entered_entry=lambda n, t, i: choose(
            is_here(n, t), ANY.entry(SERVER, i), ANY.entered_entry(n, t, i)
        ),
        entered_length=lambda n, t: choose(is_here(n, t), own.log.length, ANY.entered_length(n, t)),
    )
    nothing = EvidenceTerms(lambda _: FALSE, lambda _: term_of(0), term_of(0), term_of(0))
    step = _step(after, evidence=nothing)
    means = {
        "delivery": DELIVERY,
        "another-term": differ(term, own.term),
        "role": either(equal(role, FOLLOWER), step.leads_among_others),  # see TERM-STEP-DOWN
    }
    does = "enters another term, and has no vote in it yet"
    return Action("enter", does, step, world, means)


def _vote() -> Action:
    vote, own = node("new_vote"), ANY.server(SERVER)
    has_voted = constant("has_new_vote", "Bool")
    after = replace(own, has_voted=has_voted, vote=vote)
    world = replace(
        ANY,
        has_voted=_at_server(has_voted, ANY.has_voted),
        vote=_at_server(vote, ANY.vote),
        voted=lambda n, t, c: either(
            ANY.voted(n, t, c),
            both(has_voted, equal(n, SERVER), equal(t, own.term), equal(c, vote)),
        ),
    )
    means = {"delivery": DELIVERY}
    return Action("vote", "gives its vote", _step(after), world, means)


def _change_role() -> Action:
    role, own = number("new_role"), ANY.server(SERVER)
    world = replace(ANY, role=_at_server(role, ANY.role))
    means = {"delivery": DELIVERY, "not-a-leader": differ(role, LEADER)}
    does = "becomes a follower, or a candidate"
    return Action("change-role", does, _step(replace(own, role=role)), world, means)


_NEW_LOG = LogTerms(number("new_length"), Function("new_entry", "Entry", 1))


def _log_step() -> StepTerms:
    own = ANY.server(SERVER)
    changed = _step(replace(own, log=_NEW_LOG))
    return replace(changed, removed=number("removed"), keeps_log=FALSE)


def _append() -> Action:
    step = _log_step()
    world = replace(
        ANY,
        entry=lambda n, i: choose(equal(n, SERVER), _NEW_LOG.at(i), ANY.entry(n, i)),
        length=_at_server(_NEW_LOG.length, ANY.length),
    )
    means = {
        "delivery": DELIVERY,
        "not-a-leader": differ(step.before.role, LEADER),
        "log": both(term_of(0) <= _NEW_LOG.length, step.definitions),
    }
    does = "changes its log, without leading"
    return Action("append", does, step, world, means, _lemmas_of_append(step))


def _lemmas_of_append(step: StepTerms) -> dict[str, Term]:
    """Up to each entry, the log after is the log before, or that of the leader who sent it."""
    led = ANY.led_log(message_term(ARRIVED))

    def is_old(i: Term) -> Term:
        old = step.before.log
        return both(i < step.removed, i <= old.length, equal(_NEW_LOG.at(i), old.at(i)))

    def is_sent(i: Term) -> Term:
        return both(
            prev_log_index(ARRIVED) < i,
            i <= last_new_index(ARRIVED),
            i <= led.length,
            equal(_NEW_LOG.at(i), led.at(i)),
        )

    def is_led(i: Term, j: Term) -> Term:
        return implies(
            both(_NEW_LOG.covers(i), term_of(1) <= j, j <= i),
            either(is_old(i), both(i <= led.length, equal(_NEW_LOG.at(j), led.at(j)))),
        )

    def is_prefix_led(i: Term, j: Term) -> Term:
        old = step.before.log
        new = both(_NEW_LOG.covers(i), negation(is_old(i)))
        before = both(term_of(1) <= j, j <= prev_log_index(ARRIVED))
        same = both(j < step.removed, j <= old.length, equal(old.at(j), led.at(j)))
        return implies(both(new, before), same)

    return {
        "prefix-led": every(("Int", "Int"), is_prefix_led),
        "spliced": every(
            ("Int",), lambda i: implies(_NEW_LOG.covers(i), either(is_old(i), is_sent(i)))
        ),
        "old-or-led": every(("Int", "Int"), is_led),
    }


def _propose() -> Action:
    step = _log_step()
    own = step.before

    def holds_own(n: Term, t: Term, i: Term) -> Term:
        return both(equal(n, SERVER), equal(t, own.term), _NEW_LOG.covers(i))

    world = replace(
        ANY,
        entry=lambda n, i: choose(equal(n, SERVER), _NEW_LOG.at(i), ANY.entry(n, i)),
        length=_at_server(_NEW_LOG.length, ANY.length),
        led_entry=lambda t, i: choose(equal(t, own.term), _NEW_LOG.at(i), ANY.led_entry(t, i)),
        led_length=lambda t: choose(equal(t, own.term), _NEW_LOG.length, ANY.led_length(t)),
        held=lambda n, t, i: either(ANY.held(n, t, i), holds_own(n, t, i)),
    )
    means = {
        "delivery": DELIVERY,
        "leader": equal(own.role, LEADER),
        "log": both(term_of(0) <= _NEW_LOG.length, step.definitions),
    }
    kept = every(
        ("Int",),
        lambda i: implies(
            own.log.covers(i),
            both(i <= _NEW_LOG.length, equal(_NEW_LOG.at(i), own.log.at(i))),
        ),
    )
    does = "changes its log, as a leader"
    return Action("propose", does, step, world, means, {"only-longer": kept})


def _note() -> Action:
    own, grants = ANY.server(SERVER), is_grant(ARRIVED)
    is_request = equal(kind(ARRIVED), APPEND_ENTRIES)
    confirms = both(is_request, holds(own.log, ARRIVED))
    acknowledges = both(is_acknowledgement(ARRIVED))

    def higher(part: Callable[..., Term], value: Term) -> Term:
        return choose(both(confirms, part(SERVER) < value), value, part(SERVER))

    def is_teller(n: Term, m: Term) -> Term:
        return both(equal(n, SERVER), equal(m, source(ARRIVED)))

    confirmed = higher(ANY.confirmed, last_new_index(ARRIVED))
    claimed = higher(ANY.claimed, leader_commit(ARRIVED))
    world = replace(
        ANY,
        grants=lambda n, m: either(ANY.grants(n, m), both(grants, is_teller(n, m))),
        acknowledged=lambda n, m: choose(
            both(acknowledges, is_teller(n, m), ANY.acknowledged(n, m) < match_index(ARRIVED)),
            match_index(ARRIVED),
            ANY.acknowledged(n, m),
        ),
        confirmed=_at_server(confirmed, ANY.confirmed),
        claimed=_at_server(claimed, ANY.claimed),
        held=lambda n, t, i: either(
            ANY.held(n, t, i),
            both(
                confirms,
                equal(n, SERVER),
                equal(t, own.term),
                term_of(1) <= i,
                i <= last_new_index(ARRIVED),
            ),
        ),
    )
    means = {
        "delivery": DELIVERY,
        "message-of-its-term": both(RECEIVED, equal(message_term(ARRIVED), own.term)),
    }
    return Action("note", "takes note of a message of its term", _step(own), world, means)


def _elect() -> Action:
    own, quorum = ANY.server(SERVER), constant("votes", "Quorum")
    term, log = own.term, own.log
    step = _step(replace(own, role=LEADER))
    raises = ANY.claim(term) < own.commit

    def is_own(t: Term) -> Term:
        return equal(t, term)

    world = replace(
        ANY,
        role=_at_server(LEADER, ANY.role),
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
    means = {
        "not-a-leader": differ(own.role, LEADER),
        "votes": implies(some(("Quorum",), step.elects), step.elects(quorum)),
    }
    again = {"led-by-it-if-at-all": implies(ANY.started(term), ANY.led(SERVER, term))}
    return Action("elect", "becomes leader", step, world, means, again, "election")


def _commit() -> Action:
    own, commit = ANY.server(SERVER), number("new_commit")
    counted, quorum, term = number("counted"), constant("holders", "Quorum"), own.term
    step = _step(replace(own, commit=commit))
    leads, rises = step.commits_as_leader, ANY.committed(term) < counted

    def may_count(i: Term, q: Term) -> Term:
        return both(step.counts(i, q), equal(entry_term(own.log.at(i)), term))

    def counts_now(t: Term) -> Term:
        return both(equal(t, term), leads, rises)

    def claims_now(t: Term) -> Term:
        return both(equal(t, term), leads, ANY.claim(t) < commit)

    commit_term = choose(leads, term, ANY.claim_term(term))
    world = replace(
        ANY,
        commit=_at_server(commit, ANY.commit),
        commit_term=_at_server(
            choose(step.commits, commit_term, ANY.commit_term(SERVER)), ANY.commit_term
        ),
        committed=lambda t: choose(counts_now(t), counted, ANY.committed(t)),
        backers=lambda t: choose(counts_now(t), quorum, ANY.backers(t)),
        claim=lambda t: choose(claims_now(t), commit, ANY.claim(t)),
        claim_term=lambda t: choose(claims_now(t), term, ANY.claim_term(t)),
    )
    means = {
        "commit": term_of(0) <= commit,
        "counted": implies(some(("Int", "Quorum"), may_count), may_count(counted, quorum)),
    }
    led = implies(step.commits, own.log.agrees(ANY.led_log(term), commit))
    does = "commits; or, in a restart, forgets what is committed"
    return Action("commit", does, step, world, means, {"commits-what-is-led": led})


def _send() -> Action:
    message, own = constant("sent_now", "Message"), ANY.server(SERVER)
    output = replace(NO_OUTPUT, is_send=TRUE, message=message)
    world = replace(ANY, sent=lambda m: either(ANY.sent(m), equal(m, message)))
    return Action("send", "sends a message", _step(own, output=output), world, {})


def _apply() -> Action:
    index, entry, own = (
        number("applied_index"),
        constant("applied_entry", "Entry"),
        ANY.server(SERVER),
    )
    output = replace(NO_OUTPUT, is_apply=TRUE, index=index, entry=entry)

    def is_now(i: Term, e: Term) -> Term:
        return both(equal(i, index), equal(e, entry))

    world = replace(
        ANY,
        applied=lambda i, e: either(ANY.applied(i, e), is_now(i, e)),
        applied_term=lambda i, e: choose(
            is_now(i, e), ANY.commit_term(SERVER), ANY.applied_term(i, e)
        ),
    )
    return Action("apply", "applies an entry", _step(own, output=output), world, {})


ACTIONS: tuple[Action, ...] = (
    _enter(),
    _vote(),
    _change_role(),
    _append(),
    _propose(),
    _note(),
    _elect(),
    _commit(),
    _send(),
    _apply(),
)
"""All of them, in the order in which a step takes them."""
