"""Where the templates of all pages are, and what they may ask for."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from model_check.render import describe_entries, describe_role, server_name
from raft_ref import Log


def environment() -> Environment:
    """All templates; whatever they show is escaped."""
    environment = Environment(
        loader=PackageLoader("model_check.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "log": describe_log,
        "role": describe_role,
        "server": server_name,
        "prose": _prose,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}.",
    }
    return environment


def _prose(text: str) -> Markup:
    """Text in which `this` is code."""
    parts = str(escape(text)).split("`")
    return Markup(  # noqa: S704 - it has been escaped
        "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
    )


def describe_log(log: Log) -> str:
    """A log's entries, and what came before them."""
    entries = describe_entries(log.entries)
    if not log.snapshot_index:
        return entries
    return f"{entries} after a snapshot to {log.snapshot_index} of term {log.snapshot_term}"
