"""Time and memory of explorations against states, as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from model_check.bench import Measurement


def plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw seconds and bytes against stored states, along each exploration, with a line of slope 1.

    Raises:
        OSError: if ``path`` cannot be written.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for each in measurements:
        points = [point for point in each.progress if point[1] >= 1000]
        if points:
            seconds, states, used = zip(*points, strict=True)
            label = _label(each)
            time.plot(states, seconds, label=label, linewidth=1)
            if each.state_bytes is not None:
                memory.plot(states, used, label=label, linewidth=1)
    for axes, what in ((time, "seconds"), (memory, "bytes for stored states")):
        axes.set(xscale="log", yscale="log", xlabel="stored states", ylabel=what)
        axes.grid(visible=True, which="major", linewidth=0.3)
    largest = max(each.orbits for each in measurements)
    time.plot((1e3, largest), (1e-3, largest * 1e-6), "k:", label="1 µs a state")
    memory.plot((1e3, largest), (4e4, largest * 40), "k:", label="40 bytes a state")
    memory.legend(handles=memory.lines[-1:], fontsize=6)
    figure.legend(*time.get_legend_handles_labels(), loc="outside right upper", fontsize=6)
    # The same measurements give the same file.
    with mpl.rc_context({"svg.hashsalt": "raft-ref"}):
        figure.savefig(path, metadata={"Date": None})


def _label(each: Measurement) -> str:
    ways = "".join(f", {name}" for name in ("symmetry", "eager", "forget") if getattr(each, name))
    return f"{each.configuration}: {each.engine}{ways}, {each.workers} worker(s)"
