"""Connector files made at random, with known owners of their comments, and what an edit of them may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st

from connectors.core.jsonc import loads, scan
from connectors.core.jsonc.reader import Box, Node

T = TypeVar("T")

LINE_END = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_TRAILING_BLANKS = re.compile(r"[ \t]+(?=\r?\n|$)")
_COMMENT_ENDINGS = ("", ' "quoted", ok', " it's", " ], }", " , ", " // more")
SCOPES = (
    "https://www.googleapis.com/auth/calendar.readonly",
    "https://www.googleapis.com/auth/calendar.events",
    "chat:write",
    "crm.objects.contacts.read",
    "email",
    "openid",
    "it's",
    'a"b',
    "x // y",
    "[z],{",
    "/* q */",
    "ünï",
    "back\\slash",
)
NEW_SCOPES = ("new.one", "new.two", "o'new", 'n"q', "ü\u2028", "\x01")


@dataclass
class GeneratedFile:
    """`owned` holds each scope's comments, `free` all the others; `list_start` is the offset of `[`, `rest` the text
    behind `]`."""

    scopes: list[str]
    layout: str
    quote: str
    one_line: bool
    text: str = ""
    rest: str = ""
    list_start: int = 0
    owned: dict[str, list[str]] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.layout}: {self.text!r}>"


class _Writer:
    def __init__(self, pick: Callable[[Sequence[T]], T], chance: Callable[[int], bool]) -> None:
        self.pick: Callable[..., str] = pick  # type: ignore[assignment]
        self.chance = chance
        self.out: list[str] = []
        self.comments = 0
        self.line = self.pick(["\n", "\n", "\r\n"])
        self.tab = self.pick(["  ", "    ", "\t"])
        quote = self.pick(['"', '"', "'"])
        self.key_quote = self.pick([quote, quote, ""])
        layout = self.pick(["lines", "lines", "lines", "inline", "mixed", "leading commas"])
        self.file = GeneratedFile(self._scopes(), layout, quote, layout == "inline" and chance(50))
        self.file.owned = {scope: [] for scope in self.file.scopes}
        self.trailing_comma = chance(50) and layout != "leading commas"
        self.indent = ["", "", ""] if self.file.one_line else ["", self.tab, self.tab * 2]
        self.end = "" if self.file.one_line else self.line

    def _scopes(self) -> list[str]:
        left, chosen = list(SCOPES), []
        for _ in range(int(self.pick(["0", "1", "1", "2", "3", "3", "4", "5"]))):
            chosen.append(self.pick(left))
            left.remove(chosen[-1])
        return chosen

    def write(self, *parts: str) -> None:
        self.out.extend(parts)

    def maybe(self, percent: int, *parts: str) -> None:
        if self.chance(percent):
            self.write(*parts)

    def comment(self, scope: str | None = None, *, block: bool = False) -> str:
        self.comments += 1
        body = f"c{self.comments:03d}{self.pick(_COMMENT_ENDINGS)}"
        text = f"/* {body} */" if block or self.chance(40) else f"// {body}"
        (self.file.free if scope is None else self.file.owned[scope]).append(text)
        return text

    def maybe_comment(
        self, percent: int, before: str = "", after: str = "", scope: str | None = None, *, block: bool = False
    ) -> None:
        if self.chance(percent):
            self.write(before, self.comment(scope, block=block), after)

    def string(self, value: str) -> str:
        quote = self.file.quote
        return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote

    def key(self, name: str) -> str:
        return f"{self.key_quote}{name}{self.key_quote}"

    def whole(self) -> GeneratedFile:
        self.before_list()
        self.file.list_start = len("".join(self.out))
        self.write("[")
        self.list_inside()
        self.write("]")
        inner = len("".join(self.out))
        self.after_list()
        self.file.text = "".join(self.out)
        self.file.rest = self.file.text[inner:]
        return self.file

    def before_list(self) -> None:
        many = not self.file.one_line
        gap = self.line if many else " "
        self.maybe(5, "\ufeff")
        self.maybe_comment(30, after=self.line)
        self.write("{", self.end)
        if many:
            self.maybe_comment(30, self.indent[1], self.line)
        self.maybe(20, self.indent[1], self.key("note"), ": ", self.string('n , ] "'), ",", gap)
        self.write(self.indent[1], self.key("type"), ": ", self.string("googlecalendar"), ",")
        if many:
            self.maybe_comment(20, " ")
        self.write(gap)
        if many:
            self.maybe_comment(20, self.line + self.indent[1], self.line)
        self.write(self.indent[1], self.key("scopes"), ":", self.pick([" ", " ", ""]))
        self.maybe_comment(15, after=" ", block=True)

    def list_inside(self) -> None:
        if self.file.layout == "inline" or (not self.file.scopes and self.chance(50)):
            self.inline_list()
        elif self.file.layout == "leading commas" and self.file.scopes:
            self.leading_commas_list()
        else:
            self.line_list()

    def comma(self, i: int) -> None:
        if self.trailing_comma or i + 1 < len(self.file.scopes):
            self.write(",")

    def inline_list(self) -> None:
        pad = self.pick(["", "", " "]) if self.file.scopes else ""
        self.write(pad)
        for i, scope in enumerate(self.file.scopes):
            self.write(self.pick([" ", " ", ""]) if i else "")
            self.item(scope, 15)
            self.comma(i)
        self.write(pad)

    def item(self, scope: str, percent: int) -> None:
        self.maybe_comment(percent, after=" ", scope=scope, block=True)
        self.write(self.string(scope))
        self.maybe_comment(percent, " ", scope=scope, block=True)

    def leading_commas_list(self) -> None:
        self.write(" ")
        for i, scope in enumerate(self.file.scopes):
            self.write(f"{self.line}{self.indent[2]}, " if i else "", self.string(scope))
            self.maybe_comment(40, " ", scope=scope)
        self.write(self.line, self.indent[2])

    def line_list(self) -> None:
        if self.file.scopes:
            self.maybe_comment(20, " ")
        self.write(self.line)
        if self.file.scopes:
            self.maybe_comment(15, self.indent[2], self.line * 2)
        fresh = True
        for i, scope in enumerate(self.file.scopes):
            self.lead(i, scope) if fresh else self.write(" ")
            self.item(scope, 10)
            self.comma(i)
            fresh = i + 1 == len(self.file.scopes) or self.file.layout != "mixed" or self.chance(50)
            if fresh:
                self.maybe_comment(35, self.pick([" ", "  "]), scope=scope)
                self.write(self.line)
        self.maybe_comment(20, self.pick([self.line, "", ""]) + self.indent[2], self.line)
        self.write(self.indent[1])

    def lead(self, i: int, scope: str) -> None:
        """What stands above an item: a section's comment, an empty line, comments of its own."""
        if i and self.chance(15):
            self.write(self.line, self.indent[2], self.comment(), self.line * 2)
        elif i:
            self.maybe(15, self.line)
        for _ in range(int(self.pick(["0", "0", "0", "1", "2"]))):
            self.write(self.indent[2], self.comment(scope), self.line)
        self.write(self.indent[2])

    def after_list(self) -> None:
        nested = "{" + self.key("scopes") + ": [" + self.string("email") + "]}"
        other = self.pick(["0x1F", "null", nested, "1e5", "true", "NaN"])
        self.maybe(25, ",", self.end, self.indent[1], self.key("zz"), ": ", other)
        self.maybe(40, ",")
        if not self.file.one_line:
            self.maybe_comment(20, " ")
        self.write(self.end, "}")
        self.maybe_comment(20, " ", block=True)
        self.maybe(70, self.line)


@st.composite
def generated_files(draw: st.DrawFn) -> GeneratedFile:
    """A connector file in any style that people write."""
    return _Writer(lambda options: draw(st.sampled_from(options)), lambda n: draw(st.integers(0, 99)) < n).whole()


def faults(file: GeneratedFile, add: Sequence[str], remove: Sequence[str], out: str) -> list[str]:
    """What an edit did to the file that it should not have done; empty for a good edit."""
    kept = [scope for scope in file.scopes if scope not in remove]
    wanted = loads(file.text) | {"scopes": kept + [scope for scope in add if scope not in kept]}
    if repr(loads(out)) != repr(wanted):
        return ["another value"]
    return sorted(
        {*_outside(file, out), *_comments(file, kept, out), *_lines(file, kept, out), *_style(file, kept, add, out)}
    )


def _outside(file: GeneratedFile, out: str) -> Iterator[str]:
    if not out.startswith(file.text[: file.list_start]) or not out.endswith(file.rest):
        yield "bytes outside the list changed"


def _comments(file: GeneratedFile, kept: Sequence[str], out: str) -> Iterator[str]:
    if any(out.count(comment) != 1 for comment in file.free):
        yield "a comment of the list is gone"
    before, after = _items(file.text), _items(out)
    for scope in file.scopes:
        for comment in file.owned[scope]:
            if scope not in kept:
                if comment in out:
                    yield "a removed scope's comment stays"
            elif out.count(comment) != 1:
                yield "a kept scope's comment is gone"
            elif _distance(out, after[scope], comment) != _distance(file.text, before[scope], comment):
                yield "a comment moved away from its scope"


def _lines(file: GeneratedFile, kept: Sequence[str], out: str) -> Iterator[str]:
    """Lines that hold no removed scope, no comment of one and no neighbouring comma must all still be there."""
    if file.layout != "lines" or not kept:
        return
    items = _items(file.text)
    touched = {_line(file.text, items[scope].start) for scope in (*_gone(file, kept), kept[-1], file.scopes[-1])}
    for scope in _gone(file, kept):
        touched |= {_line(file.text, file.text.find(comment)) for comment in file.owned[scope]}
    left = iter(LINE_END.split(out))
    lines = [line for i, line in enumerate(LINE_END.split(file.text)) if i not in touched]
    if not all(line in left for line in lines):  # `in` moves the iterator on: the order counts too
        yield "a line that should stay changed"


def _style(file: GeneratedFile, kept: Sequence[str], add: Sequence[str], out: str) -> Iterator[str]:
    if set(LINE_END.findall(out)) - set(LINE_END.findall(file.text)):
        yield "another line end"
    before, after = _list(file.text), _list(out)
    if kept and (before.commas[-1] is None) != (after.commas[-1] is None):
        yield "another trailing comma"
    if any(out[_items(out)[scope].start] != file.quote for scope in add if scope not in file.scopes):
        yield "other quotes"
    inside = out[file.list_start : len(out) - len(file.rest)]
    if _TRAILING_BLANKS.search(inside) and not _TRAILING_BLANKS.search(file.text[file.list_start :]):
        yield "blanks at the end of a line"


def _gone(file: GeneratedFile, kept: Sequence[str]) -> list[str]:
    return [scope for scope in file.scopes if scope not in kept]


def _list(text: str) -> Box:
    root = scan(text)
    assert isinstance(root, Box)
    box = root.last("scopes")
    assert isinstance(box, Box)
    return box


def _items(text: str) -> dict[str, Node]:
    return {node.value: node for node in _list(text).items}


def _line(text: str, offset: int) -> int:
    return len(LINE_END.findall(text, 0, offset))


def _distance(text: str, node: Node, comment: str) -> int:
    return _line(text, node.start) - _line(text, text.find(comment))
