"""The state graph as a `networkx.MultiDiGraph`, and as a file.

Nodes are the states themselves, with their ``depth``; edges carry the ``action``. So reachability,
shortest runs and statistics are ordinary networkx calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

from model_check.deadline import Deadline, OutOfTime
from model_check.explore import Budget, explore
from model_check.interned import InternedSystem
from model_check.raft import RaftSystem
from model_check.render import (
    describe_action,
    describe_entries,
    describe_role,
    describe_way,
    server_name,
)
from model_check.system import Action, M, Q, State, System
from raft_ref import Event, Message, NodeState, Output
from spec.forms import E, H, O, S

if TYPE_CHECKING:
    StateGraph: TypeAlias = nx.MultiDiGraph[State[S, Q, H]]
    FileGraph: TypeAlias = nx.MultiDiGraph[int]

GRAPH_LIMIT = 50_000
"""More states than this do not make a graph that one can work with."""


class GraphTooLarge(ValueError):
    """The space has more states than the graph may have."""


def state_graph(
    system: System[S, E, O, M, Q, H],
    limit: int | None = None,
    deadline: Deadline | None = None,
) -> StateGraph[S, Q, H]:
    """Everything ``system`` can do, up to the first violation, as a graph.

    Raises:
        GraphTooLarge: if there are more than ``limit`` states; `GRAPH_LIMIT`, if that is None.
        OutOfTime: if the deadline comes, or an interrupt, before it is complete.
    """
    limit, deadline = limit or GRAPH_LIMIT, deadline or Deadline()
    graph: StateGraph[S, Q, H] = nx.MultiDiGraph()
    graph.add_node(system.initial(), depth=0)

    def record(before: State[S, Q, H], action: Action[E, M], after: State[S, Q, H]) -> None:
        if after not in graph:
            graph.add_node(after, depth=graph.nodes[before]["depth"] + 1)
        graph.add_edge(before, after, action=action)

    found = explore(system, Budget(max_states=limit, deadline=deadline), record=record)
    if deadline.ended is not None:
        raise OutOfTime(deadline.ended)
    if found.verdict == "inconclusive":
        raise GraphTooLarge(
            f"the state graph has more than {limit} states; choose smaller bounds to write it"
        )
    return graph


def write_graph(system: RaftSystem, path: Path, deadline: Deadline | None = None) -> None:
    """Write the state graph of Raft in the format that the suffix of ``path`` names.

    States become numbers in the order of discovery, with a description of each server and of the
    messages in flight; actions become sentences.

    Raises:
        GraphTooLarge: if there are more than `GRAPH_LIMIT` states.
        OSError: if the file cannot be written.
        OutOfTime: if the deadline comes, or an interrupt, before it is complete.
    """
    WRITERS[path.suffix](_for_file(InternedSystem(system), deadline), path)


def _for_file(
    system: InternedSystem[NodeState, Event, Output, Message], deadline: Deadline | None
) -> FileGraph:
    graph = state_graph(system, deadline=deadline)
    numbers = {state: number for number, state in enumerate(graph)}
    described: FileGraph = nx.MultiDiGraph()
    for state, number in numbers.items():
        servers = {
            server_name(node): _describe_server(local)
            for node, local in enumerate(system.original_nodes(state), start=1)
        }
        described.add_node(
            number,
            depth=graph.nodes[state]["depth"],
            in_flight=", ".join(map(describe_way, system.original_messages(state))),
            **servers,
        )
    describe = cache(lambda action: describe_action(system.original(action)))
    for before, after, data in graph.edges(data=True):
        described.add_edge(numbers[before], numbers[after], action=describe(data["action"]))
    return described


def _describe_server(state: NodeState) -> str:
    return (
        f"{describe_role(state.role)}, term {state.current_term}, "
        f"voted for {server_name(state.voted_for)}, log {describe_entries(state.log.entries)}, "
        f"commit {state.commit_index}"
    )


def _write_graphml(graph: FileGraph, path: Path) -> None:
    nx.write_graphml(graph, path)


def _write_json(graph: FileGraph, path: Path) -> None:
    path.write_text(json.dumps(nx.node_link_data(graph, edges="edges")) + "\n", "utf-8")


def _write_dot(graph: FileGraph, path: Path) -> None:
    drawn: FileGraph = nx.MultiDiGraph()
    for number, data in graph.nodes(data=True):
        lines = [f"{name}: {text}" for name, text in data.items() if name != "depth"]
        drawn.add_node(number, label=json.dumps("\n".join(lines), ensure_ascii=False), shape="box")
    for before, after, data in graph.edges(data=True):
        drawn.add_edge(before, after, label=json.dumps(data["action"], ensure_ascii=False))
    nx.nx_pydot.write_dot(drawn, path)


WRITERS: dict[str, Callable[[FileGraph, Path], None]] = {
    ".graphml": _write_graphml,
    ".dot": _write_dot,
    ".json": _write_json,
}
"""How to write a graph, by the suffix of the file."""
