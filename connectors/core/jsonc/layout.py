"""How a file is laid out around its values: lines, indentation, and which comments belong to which item.

A comment belongs to an item when it
  - follows the item on its line, before or after the comma, and no other item follows there;
  - fills the line(s) directly above the item, with no blank line in between;
  - stands before the item on the item's own line.
Any other comment (after `[`, set off by a blank line, above `]`) belongs to the list and always stays.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from connectors.core.jsonc.reader import BLANKS, COMMENT, LINE_ENDS, Box

_PIECE = re.compile(rf"(?P<line_end>\r\n|[{LINE_ENDS}])|(?P<comment>{COMMENT})|(?P<blank>[^/{LINE_ENDS}]+)")
_BLANK_RUN = re.compile(rf"[{BLANKS}]*")
_WRITTEN_LINE_END = re.compile(r"\r\n|\n|\r")


class Piece(NamedTuple):
    """A line end, comment or run of blanks between two tokens."""

    kind: str
    start: int
    end: int


def pieces(text: str, start: int, end: int) -> list[Piece]:
    """What lies between two tokens, in order."""
    return [Piece(m.lastgroup or "", m.start(), m.end()) for m in _PIECE.finditer(text, start, end)]


def spans_lines(text: str, start: int, end: int) -> bool:
    """Whether a line ends between the two tokens (line ends inside a block comment do not count)."""
    return any(piece.kind == "line_end" for piece in pieces(text, start, end))


def after_blanks(text: str, offset: int) -> int:
    """The first offset from here that holds no blank."""
    match = _BLANK_RUN.match(text, offset)
    return match.end() if match else offset


def before_blanks(text: str, offset: int) -> int:
    """Where the blanks that end at `offset` begin."""
    while offset and text[offset - 1] in BLANKS:
        offset -= 1
    return offset


def line_start(text: str, offset: int) -> int | None:
    """The start of the line when only blanks lie between it and `offset`, else None."""
    start = before_blanks(text, offset)
    return start if not start or text[start - 1] in LINE_ENDS else None


def next_line(text: str, offset: int) -> int | None:
    """The start of the next line when only blanks lie between `offset` and the line's end, else None."""
    end = after_blanks(text, offset)
    if end >= len(text) or text[end] not in LINE_ENDS:
        return None
    return end + (2 if text[end : end + 2] == "\r\n" else 1)


def indent(text: str, offset: int) -> str:
    """The blanks that begin the line holding `offset` (a byte order mark is none of them)."""
    start = max(text.rfind(char, 0, offset) for char in LINE_ENDS) + 1
    return text[start : after_blanks(text, start)].lstrip("\ufeff")


def indent_step(text: str, root: Box) -> str:
    """One step of indentation as the file's first key shows it; two spaces for a file on one line."""
    outer, inner = indent(text, root.start), indent(text, root.keys[0].start)
    if inner.startswith(outer) and inner != outer:
        return inner[len(outer) :]
    return "" if spans_lines(text, root.start + 1, root.keys[0].start) else "  "


def line_ending(text: str, before: int) -> str:
    """The last line end before an offset, else the file's first one, else LF: what a new line there ends with."""
    last = max(text.rfind("\n", 0, before), text.rfind("\r", 0, before))
    if last < 0:
        found = _WRITTEN_LINE_END.search(text)
        return found[0] if found else "\n"
    return "\r\n" if last and text[last - 1 : last + 1] == "\r\n" else text[last]


def starts(box: Box) -> list[int]:
    """Where each member begins: at its key in an object, at the value in an array."""
    return [node.start for node in box.keys or box.items]


def owned_spans(text: str, box: Box) -> list[tuple[int, int]]:
    """[start, end) of each member with the comments and the comma that are its own."""
    begin, left = starts(box), box.start + 1
    spans = []
    for i, item in enumerate(box.items):
        comma = box.commas[i]
        after = item.end if comma is None else comma + 1
        start = _own_start(text, left, begin[i], first=i == 0)
        last = i + 1 == len(box.items)
        left = _own_end(text, after, box.end - 1 if last else begin[i + 1], last=last)
        spans.append((start, left))
    return spans


def last_own_end(text: str, box: Box) -> int:
    """The end of `owned_spans(text, box)[-1]`, without looking at the others."""
    comma = box.commas[-1]
    return _own_end(text, box.items[-1].end if comma is None else comma + 1, box.end - 1, last=True)


def _own_start(text: str, left: int, begin: int, *, first: bool) -> int:
    lead, start, line_ends = pieces(text, left, begin), begin, 0
    for i in reversed(range(len(lead))):
        if lead[i].kind == "line_end":
            line_ends += 1
        if line_ends > 1:
            break
        if lead[i].kind == "comment":
            if first and line_ends and all(piece.kind != "line_end" for piece in lead[:i]):
                break  # it stands behind the opening bracket, so it speaks of the whole list
            start, line_ends = lead[i].start, 0
    return start


def _own_end(text: str, after: int, limit: int, *, last: bool) -> int:
    end = after
    for piece in pieces(text, after, limit):
        if piece.kind == "line_end":
            return end
        if piece.kind == "comment":
            end = piece.end
    return end if last else after  # the next item is on this line: comments before it are its own
