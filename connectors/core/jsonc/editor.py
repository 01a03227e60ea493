"""Change `scopes` and `type` of a connector file by splicing its text; nothing is printed anew.

Comments, order, quotes, indentation, line ends and trailing commas stay as the author wrote them; `layout` says which
comments go with a removed scope. The result is read again and compared before it is returned, so a mistake here
is an error and never a wrong file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence

from connectors.core.jsonc import layout
from connectors.core.jsonc.reader import BLANKS, LINE_ENDS, MAX_DEPTH, Box, Node, scan

_NEEDS_ESCAPE = re.compile("[\u2028\u2029\ufeff\x7f-\x9f\ud800-\udfff]")


class EditError(ValueError):
    """The file has no shape that can be edited safely; the message says what is in the way."""


def edit(
    text: str,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    new_type: str | None = None,
    max_depth: int | None = MAX_DEPTH,
) -> str:
    """`text` without the scopes in `remove`, with those in `add` that it lacks put last, and of type `new_type`.

    Where there is nothing to do the text comes back unchanged. Raises EditError for a file that is no object with a
    type or whose scopes are no list of strings, Json5Error for what is not JSON5.
    """
    root = _root(text, max_depth)
    wanted = dict(root.value)
    if new_type is not None and new_type != wanted["type"]:
        wanted["type"] = new_type
        text = _replace_type(text, root, new_type)
        root = _root(text, max_depth)
    old = _scopes(root)
    gone = set(remove)
    kept = [scope for scope in old if scope not in gone]
    new = [scope for scope in dict.fromkeys(add) if scope not in kept]
    if "scopes" in wanted or new:
        wanted["scopes"] = kept + new
    quote = _scope_quote(text, root)
    if len(kept) < len(old):
        text = _remove(text, _list(root), {i for i, scope in enumerate(old) if scope in gone})
        root = _root(text, max_depth)
    if new:
        text = _add_scopes(text, root, [_quoted(scope, quote) for scope in new], max_depth)
    if repr(scan(text, max_depth=max_depth).value) != repr(wanted):  # repr, for a NaN is not equal to itself
        raise EditError("the edited file would not say what was asked for")
    return text


def _root(text: str, max_depth: int | None) -> Box:
    root = scan(text, max_depth=max_depth)
    if not isinstance(root, Box) or root.kind != "object":
        raise EditError("the file is not an object")
    _type_key(root)
    return root


def _type_key(root: Box) -> Node:
    """The key whose value is the type: the last one of that name."""
    for key in reversed(root.keys):
        if key.value == "type":
            return key
    raise EditError("the file has no type")


def _list(root: Box) -> Box:
    box = root.last("scopes")
    if not isinstance(box, Box) or box.kind != "array" or any(item.kind != "string" for item in box.items):
        raise EditError("scopes is not a list of strings")
    return box


def _scopes(root: Box) -> list[str]:
    return [] if root.last("scopes") is None else list(_list(root).value)


def _replace_type(text: str, root: Box, new_type: str) -> str:
    node = root.items[root.keys.index(_type_key(root))]
    quote = _nearest_quote(text, [node, *root.keys])
    return text[: node.start] + _quoted(new_type, quote) + text[node.end :]


def _scope_quote(text: str, root: Box) -> str:
    """The quotes that new scopes get: those of the last scope, else of the type, else of the keys."""
    scopes = _list(root).items[::-1] if root.last("scopes") else []
    node = root.items[root.keys.index(_type_key(root))]
    return _nearest_quote(text, [*scopes, node, *root.keys])


def _nearest_quote(text: str, nodes: Iterable[Node]) -> str:
    return next((text[node.start] for node in nodes if text[node.start] in "\"'"), '"')


def _quoted(value: str, quote: str) -> str:
    body = json.dumps(value, ensure_ascii=False)[1:-1]
    if quote == "'":
        body = body.replace('\\"', '"').replace("'", "\\'")
    return quote + _NEEDS_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", body) + quote


def _remove(text: str, box: Box, gone: Collection[int]) -> str:
    """Cut the items with these indexes, each with the comments and the comma that belong to it."""
    last = len(box.items) - 1
    kept = [i for i in range(last + 1) if i not in gone]
    comma = box.commas[kept[-1]] if kept and kept[-1] != last and box.commas[last] is None else None
    cuts = [_whole_lines(text, start, end, box) for start, end in _joined_spans(text, box, gone, comma)]
    if comma is not None and not any(start <= comma < end for start, end in cuts):
        cuts.append((comma, comma + 1))  # the list had no trailing comma, so it gets none now
    end = box.end
    for cut_start, cut_end in sorted(cuts, reverse=True):
        text, end = text[:cut_start] + text[cut_end:], end - (cut_end - cut_start)
    if not kept and not text[box.start + 1 : end - 1].strip(BLANKS + LINE_ENDS):
        text = text[: box.start + 1] + text[end - 1 :]
    return text


def _joined_spans(text: str, box: Box, gone: Collection[int], comma: int | None) -> list[tuple[int, int]]:
    """What belongs to the items that go; neighbours become one span, so that whole lines are seen as such."""
    spans = layout.owned_spans(text, box)
    joined: list[tuple[int, int]] = []
    for i in sorted(gone):
        start, end = spans[i]
        before = box.commas[i - 1] if i else None
        comma_first = before is not None and before == comma and layout.line_start(text, before) is not None
        if before is not None and comma_first and not text[before + 1 : start].strip(BLANKS):
            start = before  # a list with leading commas: the line goes with the comma that begins it
        if joined and not text[joined[-1][1] : start].strip(BLANKS):
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _whole_lines(text: str, start: int, end: int, box: Box) -> tuple[int, int]:
    """The span with its line's indentation and end if it fills the line, else with the blanks on one side."""
    line, following = layout.line_start(text, start), layout.next_line(text, end)
    if line is not None and following is not None:
        return line, following
    rest = layout.after_blanks(text, end)
    if line is None and text[rest] in LINE_ENDS + "]":
        return max(layout.before_blanks(text, start), box.start + 1), end
    return start, rest


def _add_scopes(text: str, root: Box, sources: Sequence[str], max_depth: int | None) -> str:
    if root.last("scopes") is None:
        first = text[_type_key(root).start]
        quote = first if first in "\"'" else ""
        text = _append(text, root, [f"{quote}scopes{quote}: []"])
        root = _root(text, max_depth)
    box = _list(root)
    return _append(text, box, sources) if box.items else _fill(text, box, sources, root)


def _fill(text: str, box: Box, sources: Sequence[str], root: Box) -> str:
    """Put the sources into an empty list: one to a line, unless the file is written on one line."""
    inside, close = box.start + 1, box.end - 1
    end_of_line = layout.line_ending(text, close)
    base = layout.indent(text, box.start)
    tail = "," if root.commas[-1] is not None else ""
    lines = f",{end_of_line}".join(base + layout.indent_step(text, root) + source for source in sources)
    lines += tail + end_of_line
    if not text[inside:close].strip(BLANKS + LINE_ENDS):
        if not layout.spans_lines(text, root.start + 1, root.keys[0].start):
            return text[:inside] + ", ".join(sources) + text[close:]
        return text[:inside] + end_of_line + lines + base + text[close:]
    line = layout.line_start(text, close)
    if line is not None:
        return text[:line] + lines + text[line:]
    pad = text[layout.before_blanks(text, close) : close]
    return text[:close] + ("" if pad else " ") + ", ".join(sources) + pad + text[close:]


def _append(text: str, box: Box, sources: Sequence[str]) -> str:
    """Put the sources after the last member of a list or object, laid out as its last members are."""
    start, comma, several = layout.starts(box)[-1], box.commas[-1], len(box.items) > 1
    end = layout.last_own_end(text, box)
    before = box.commas[-2] if several else None
    gap = text[before + 1 : start] if before is not None else " "
    gap = " " if gap.strip(BLANKS) else gap
    if before is not None and comma is None and layout.line_start(text, before) is not None:  # leading commas
        line = layout.line_ending(text, box.end - 1) + layout.indent(text, before)
        return text[:end] + "".join(f"{line},{gap}{source}" for source in sources) + text[end:]
    previous = box.items[-2].end if several else box.start + 1
    if layout.spans_lines(text, previous, start) or layout.spans_lines(text, end, box.end - 1):
        return _append_lines(text, box, sources, end)
    added = "".join(f",{gap}{source}" for source in sources)
    if comma is not None:
        return text[:comma] + text[comma + 1 : end] + added + "," + text[end:]
    return text[:end] + added + text[end:]


def _append_lines(text: str, box: Box, sources: Sequence[str], end: int) -> str:
    """One source to a line, below the last member and the comment on its line."""
    value_end, trailing = box.items[-1].end, box.commas[-1] is not None
    line = layout.line_ending(text, box.end - 1) + layout.indent(text, layout.starts(box)[-1])
    body = ",".join(line + source for source in sources) + ("," if trailing else "")
    return text[:value_end] + ("" if trailing else ",") + text[value_end:end] + body + text[end:]
