"""The report of an exploration of a foreign implementation as JSON; see
``spec/schemas/conform_report.schema.json``."""

from __future__ import annotations

import msgspec

from model_check.conformance.explore import Conformance
from model_check.conformance.finding import Finding
from model_check.conformance.process import AdapterFailed
from model_check.conformance.redo import Redone
from model_check.conformance.schedule import encode_action
from model_check.conformance.trial import Trial
from model_check.judged import Breach
from model_check.raft import OF_THE_CORE
from model_check.report import SCHEMA_VERSION, Report, figures, reached_report


def conform_report(result: Conformance) -> Report:
    """What ``result`` says, as JSON data that the schema accepts."""
    setup, space = result.setup, result.setup.space
    bounds = space.described_bounds()
    for name in OF_THE_CORE:
        del bounds[name]
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "conform --explore",
        "verdict": result.verdict,
        "adapter": list(setup.adapter.command),
        "options": dict(setup.adapter.options),
        "name": result.name,
        "engine": result.engine,
        **figures(result.exploration),
        "local_states": result.local_states,
        "adapter_calls": result.adapter_calls,
        "network": space.network,
        "bounds": bounds,
        "properties": [item.name for item in result.judged],
        "unjudged": {name: list(fields) for name, fields in result.unjudged.items()},
        "vacuous": {name: list(lacking) for name, lacking in result.vacuous.items()},
        "profile": setup.profile.name if space.rules else None,
        "steps_judged": result.steps_judged,
        "findings": [_finding(finding) for finding in result.findings],
        "unconfirmed": _finding_or_none(result.unconfirmed),
        "unresolved": {each.suspicion.rule.id: each.stopped_by for each in result.unresolved},
        "suspected": list(result.suspected),
        "shortfalls": [each._asdict() for each in result.shortfalls],
        "other_failures": result.other_failures,
    }


def trial_report(trial: Trial) -> Report:
    """What ``trial`` says, as JSON data that the schema accepts."""
    setup, plan, progress = trial.setup, trial.plan, trial.progress
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "conform --schedules",
        "verdict": trial.verdict,
        "adapter": list(setup.adapter.command),
        "options": dict(setup.adapter.options),
        "name": trial.name,
        "servers": setup.adapter.servers,
        "network": setup.space.network,
        "schedules": list(plan.kinds),
        "walks": plan.walks,
        "seed": plan.seed,
        "runs": dict(progress.runs),
        "actions": progress.actions,
        "left_out": progress.left_out,
        "deliveries": progress.deliveries,
        "deliveries_left_out": progress.deliveries_left_out,
        "deliveries_gone": progress.deliveries_gone,
        "unsupported": dict(progress.unsupported),
        "unknown_kinds": {kind: progress.sent[kind] for kind in progress.unknown},
        "undelivered": {str(to): count for to, count in sorted(progress.undelivered.items())},
        "steps_judged": progress.steps,
        "seconds": progress.seconds,
        "stopped_by": trial.stopped_by,
        "shortfalls": [each._asdict() for each in trial.shortfalls],
        "reached": reached_report(progress.reached),
        "vacuous": {name: list(lacking) for name, lacking in trial.vacuous.items()},
        "properties": list(trial.judged),
        "unjudged": {name: list(fields) for name, fields in trial.unjudged.items()},
        "profile": setup.profile.name if setup.space.rules else None,
        "findings": [_finding(finding) for finding in trial.findings],
        "unconfirmed": _finding_or_none(trial.unconfirmed),
    }


def conform_replay_report(redone: Redone) -> Report:
    """What became of a schedule that was done again."""
    run = redone.run
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "conform --replay",
        "verdict": "violates" if run.violation is not None else "not_reproduced",
        "finding": _finding_or_none(next(iter(redone.findings), None)),
        "actions_taken": len(run.moments),
        "not_enabled": None
        if run.not_enabled is None
        else msgspec.to_builtins(encode_action(run.not_enabled)),
    }


def failure_report(command: str, failed: AdapterFailed) -> Report:
    """That an adapter is at fault."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "verdict": "adapter-failed",
        "reason": failed.reason,
        "request": failed.request,
        "reply": failed.reply,
        "stderr": list(failed.stderr),
    }


def _finding(finding: Finding) -> Report:
    moments, breach = finding.run.moments, finding.breach
    return {
        "property": finding.violation.property,
        "explanation": finding.violation.explanation,
        "depth": len(moments),
        "first_breach": None if breach is None else _breach(breach),
        "actions": [
            msgspec.json.decode(msgspec.json.encode(encode_action(moment.action)))
            for moment in moments
        ],
    }


def _finding_or_none(finding: Finding | None) -> Report | None:
    return None if finding is None else _finding(finding)


def _breach(breach: Breach) -> Report:
    return {
        "rule": breach.rule.id,
        "action": breach.action,
        "node": breach.node,
        "conjunct": breach.broken.conjunct,
        "expected": breach.broken.expected,
        "seen": breach.broken.seen,
    }
