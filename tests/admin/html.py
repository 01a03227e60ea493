"""Read what a page shows: the fields of a form as a browser would post them, and texts by class or id."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Element:
    """One element of a page, with the text in and below it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element] = []
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def having(self, name: str, value: str) -> list[Element]:
        """The elements below whose attribute is `value`, or has it among its words."""
        return [found for found in self.walk() if value in found.attributes.get(name, "").split()]

    def fields(self) -> dict[str, str]:
        """Names and values of text inputs, hidden inputs, chosen options and text areas."""
        found = {}
        for element in self.walk():
            name = element.attributes.get("name", "")
            if not name:
                continue
            if element.tag == "textarea":
                found[name] = element.text.removeprefix("\n")
            elif element.tag == "select":
                chosen = [one for one in element.walk() if one.tag == "option" and "selected" in one.attributes]
                found[name] = chosen[0].attributes.get("value", "") if chosen else ""
            elif element.tag == "input" and element.attributes.get("type") not in ("checkbox", "submit", "radio"):
                found[name] = element.attributes.get("value", "")
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self.open) - 1, 0, -1):
            if self.open[place].tag == tag:
                del self.open[place:]
                return

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.pieces.append(data)


def parse(content: bytes) -> Element:
    """The page as a tree."""
    parser = _Parser()
    parser.feed(content.decode())
    return parser.root
