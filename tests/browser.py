"""What a browser without network draws of a page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest


def drawn_in(page: Path, names: tuple[str, ...], directory: Path) -> Iterator[tuple[str, int]]:
    """How many pixels have each of the colours that the page's style calls so."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    picture = directory / "page.png"
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--proxy-server=127.0.0.1:9", "--window-size=1200,2400", f"--screenshot={picture}"),
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603 - ours
    pixels = (matplotlib.image.imread(picture)[:, :, :3] * 255).round().astype(np.int64)
    for name in names:
        found = re.search(f"--{name}: #([0-9a-f]{{6}})", page.read_text("utf-8"))
        assert found is not None
        colour = np.array(list(bytes.fromhex(found[1])))
        yield name, int((np.abs(pixels - colour).max(axis=2) < 8).sum())
