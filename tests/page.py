"""A page as a browser reads it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "img", "link", "input", "hr"}
BREAKING = {"br", "dd", "td", "th"}
"""What a browser shows apart from what stands before it, even if nothing is between them."""


class Page(HTMLParser):
    """A page's tags, with their attributes, and its text; what is opened in it is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self._open, f"{self._open[-1]} is not closed"
        names = self.values("id")
        assert len(names) == len(set(names)), f"names are given twice: {names}"
        targets = {target for target in self.values("href") if target.startswith("#")}
        assert targets <= {f"#{name}" for name in names}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += "\n" if tag in BREAKING else ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} is closed, and not open"
        assert self._open.pop() == tag, f"{tag} is closed before what is in it"

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data

    @property
    def words(self) -> str:
        """Its text, however it is broken into lines."""
        return " ".join(self.text.split())

    def values(self, attribute: str) -> list[str]:
        """Those that an attribute has, in whatever tags."""
        found = (attributes.get(attribute) for _, attributes in self.tags)
        return [value for value in found if value is not None]

    def having(self, tag: str, name: str) -> int:
        """How many tags have this class."""
        classes = (attributes.get("class") or "" for each, attributes in self.tags if each == tag)
        return sum(name in each.split() for each in classes)

    def assert_needs_nothing(self) -> None:
        """No network, no scripts."""
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in self.tags}
        assert self.values("src") == []
