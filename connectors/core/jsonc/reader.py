"""Read JSON5 exactly as npm's json5 2.2.3 does (the Base44 CLI's reader), and know where every value stands.

`loads` gives the value, `scan` the tree with offsets that `editor` splices by. Nothing recurses, so a file cannot
overflow the stack. One stated deviation: json5 takes any depth, we stop at `MAX_DEPTH`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from connectors.core.jsonc.identifiers import may_continue_key, may_start_key

MAX_DEPTH = 200
"""Lists and objects inside each other. Connector files need 2; deeper values break comparison and printing."""

LINE_ENDS = "\n\r\u2028\u2029"
BLANKS = " \t\v\f\u00a0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
COMMENT = rf"//[^{LINE_ENDS}]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/"

_LINE_END = re.compile(rf"\r\n|[{LINE_ENDS}]")
_SPACE = rf"(?>(?:[{BLANKS}{LINE_ENDS}]+|{COMMENT})*)"
_TRIVIA = re.compile(_SPACE)
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Infinity|NaN)"
)
_WORD = re.compile(r"null|true|false")
_WORDS = {"null": None, "true": True, "false": False}
_PLAIN_STRING = re.compile(r'"([^"\\\n\r]*)"' + r"|'([^'\\\n\r]*)'")
_PLAIN_ITEM = re.compile(rf"{_SPACE}(?:{_PLAIN_STRING.pattern}){_SPACE},")
_CHUNK = {'"': re.compile(r'[^"\\\n\r]*'), "'": re.compile(r"[^'\\\n\r]*")}
_PLAIN_KEY = re.compile(r"[A-Za-z$_][A-Za-z0-9$_]*(?![A-Za-z0-9$_\\\u0080-\U0010ffff])")
_KEY_PART = re.compile(r"\\u([0-9a-fA-F]{4})|([^\\])", re.DOTALL)
_HEX = re.compile(r"[0-9a-fA-F]*")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": "", "\u2028": "", "\u2029": ""}
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

Kind = Literal["object", "array", "string", "number", "word", "key"]


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1, with lines as json5 counts them: LF, CRLF, CR, U+2028, U+2029."""
    ends = list(_LINE_END.finditer(text, 0, offset))
    return len(ends) + 1, offset - (ends[-1].end() if ends else 0) + 1


class Json5Error(ValueError):
    """The text is not JSON5. `expected` says in words what should stand at `line` and `column` (both from 1)."""

    def __init__(self, text: str, position: int, expected: str) -> None:
        self.position, self.expected = position, expected
        self.line, self.column = place(text, position)
        super().__init__(f"expected {expected}, found {_named(text[position : position + 1])}")


def _named(char: str) -> str:
    if not char:
        return "the end of the file"
    if char in LINE_ENDS:
        return "a line break"
    if char == "'":
        return '"\'"'
    return f"'{char}'" if char.isprintable() else f"the character U+{ord(char):04X}"


class Node:
    """A value (or key) and the offsets [start, end) of its source text."""

    __slots__ = ("end", "kind", "start", "value")

    def __init__(self, kind: Kind, start: int, end: int, value: Any) -> None:
        self.kind, self.start, self.end, self.value = kind, start, end, value


class Box(Node):
    """An object or array: its values, its keys (objects only), and the offset of the comma after each value, if any."""

    __slots__ = ("commas", "items", "keys")

    def __init__(self, kind: Kind, start: int) -> None:
        super().__init__(kind, start, -1, {} if kind == "object" else [])
        self.items: list[Node] = []
        self.keys: list[Node] = []
        self.commas: list[int | None] = []

    def last(self, key: str) -> Node | None:
        """The member of this name that counts: the last one, as in JSON5.parse. None when there is none."""
        return next((self.items[i] for i in reversed(range(len(self.keys))) if self.keys[i].value == key), None)


def _string(text: str, start: int) -> tuple[str, int]:
    """The string whose opening quote is at `start`, and the offset after its closing quote."""
    if plain := _PLAIN_STRING.match(text, start):
        return plain[plain.lastindex or 0], plain.end()
    quote, parts, position = text[start], [], start + 1
    while True:
        end = _CHUNK[quote].match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string too
        parts.append(text[position:end])
        if text[end : end + 1] == quote:
            return _SURROGATE_PAIR.sub(_one_character, "".join(parts)), end + 1
        if text[end : end + 1] != "\\":
            raise Json5Error(text, end, f"the closing {quote} of the string")
        part, position = _escape(text, end + 1)
        parts.append(part)


def _one_character(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _escape(text: str, position: int) -> tuple[str, int]:
    """What the escape after the backslash stands for, and the offset behind it."""
    char, after = text[position : position + 1], position + 1
    if char in _ESCAPES:
        return _ESCAPES[char], after
    if char == "\r":
        return "", after + (text[after : after + 1] == "\n")
    if char in ("x", "u"):
        size = 2 if char == "x" else 4
        end = _HEX.match(text, after, after + size).end()  # type: ignore[union-attr]
        if end != after + size:
            raise Json5Error(text, end, f"{size} hexadecimal digits after \\{char}")
        return chr(int(text[after:end], 16)), end
    if char == "0" and text[after : after + 1] not in tuple("0123456789"):
        return "\0", after
    if not char or char in "0123456789":
        raise Json5Error(text, position, "a character that can be escaped after \\")
    return char, after


def _key(text: str, start: int) -> tuple[str, int]:
    """The key at `start`, with or without quotes, and the offset behind it."""
    if text[start : start + 1] in ('"', "'"):
        return _string(text, start)
    if plain := _PLAIN_KEY.match(text, start):
        return plain[0], plain.end()
    parts: list[str] = []
    position = start
    while part := _KEY_PART.match(text, position):
        char = part[2] or chr(int(part[1], 16))
        if not (may_continue_key(char) if parts else may_start_key(char)):
            break
        parts.append(char)
        position = part.end()
    if not parts or text[position : position + 1] == "\\":
        raise Json5Error(text, position, "a key or '}'" if not parts else "a letter, digit, '$', '_' or ':'")
    return "".join(parts), position


def _number(source: str) -> int | float:
    """A JavaScript number: a double, given as int when it is integral and exact."""
    digits = source.lstrip("+-")
    value = _hexadecimal(digits[2:].lstrip("0") or "0") if digits[:2] in ("0x", "0X") else float(digits)
    if source[0] == "-":
        value = -value
    if value.is_integer() and abs(value) <= 2.0**53 and (value or source[0] != "-"):
        return int(value)
    return value


def _hexadecimal(digits: str) -> float:
    try:
        return float(int(digits, 16)) if len(digits) <= 256 else float("inf")
    except OverflowError:
        return float("inf")


class _Scanner:
    """Walks the text by steps; each step reads one piece and returns the step that may follow (None: complete)."""

    __slots__ = ("key", "max_depth", "position", "root", "stack", "text")

    def __init__(self, text: str, max_depth: int | None) -> None:
        self.text, self.max_depth = text, max_depth
        self.position = 0
        self.stack: list[Box] = []
        self.key: Node | None = None
        self.root: Node | None = None

    def run(self) -> Node:
        step: Callable[[], Any] | None = self.value
        while step is not None:
            step = step()
        end = self.skip()
        if end < len(self.text) or self.root is None:
            raise self.error("the end of the file")
        return self.root

    def skip(self) -> int:
        """Go over blanks, line ends and comments; the offset of what follows."""
        self.position = position = _TRIVIA.match(self.text, self.position).end()  # type: ignore[union-attr]
        return position

    def error(self, expected: str) -> Json5Error:
        if self.text.startswith("/*", self.position):
            return Json5Error(self.text, len(self.text), "*/ at the end of a comment")
        return Json5Error(self.text, self.position, expected)

    def value(self) -> Callable[[], Any] | None:
        start = self.skip()
        text = self.text
        char = text[start : start + 1]
        if char in ('"', "'"):
            value, self.position = _string(text, start)
            return self.done(Node("string", start, self.position, value))
        if char in ("{", "["):
            return self.open(Box("object" if char == "{" else "array", start))
        if match := _NUMBER.match(text, start):
            self.position = match.end()
            return self.done(Node("number", start, self.position, _number(match[0])))
        if match := _WORD.match(text, start):
            self.position = match.end()
            return self.done(Node("word", start, self.position, _WORDS[match[0]]))
        raise self.error("a value or ']'" if self.stack and self.stack[-1].kind == "array" else "a value")

    def open(self, box: Box) -> Callable[[], Any]:
        self.attach(box)
        self.stack.append(box)
        if self.max_depth is not None and len(self.stack) > self.max_depth:
            raise self.error(f"at most {self.max_depth} lists and objects inside each other")
        self.position += 1
        return self.member if box.kind == "object" else self.item

    def done(self, node: Node) -> Callable[[], Any] | None:
        self.attach(node)
        return self.after if self.stack else None

    def attach(self, node: Node) -> None:
        """Hand the node to the list or object around it, with the key just read."""
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.items.append(node)
        parent.commas.append(None)
        if parent.kind == "array":
            parent.value.append(node.value)
        elif self.key is not None:
            parent.keys.append(self.key)
            parent.value[self.key.value] = node.value

    def item(self) -> Callable[[], Any] | None:
        parent = self.stack[-1]
        while plain := _PLAIN_ITEM.match(self.text, self.position):  # a shortcut for what scopes nearly always are
            start, end = plain.span(plain.lastindex or 0)
            value = self.text[start:end]
            parent.items.append(Node("string", start - 1, end + 1, value))
            parent.value.append(value)
            self.position = plain.end()
            parent.commas.append(self.position - 1)
        start = self.skip()
        return self.close() if self.text[start : start + 1] == "]" else self.value()

    def member(self) -> Callable[[], Any] | None:
        start = self.skip()
        text = self.text
        if text[start : start + 1] == "}":
            return self.close()
        if text[start : start + 1] == "/":
            raise self.error("a key or '}'")
        name, self.position = _key(text, start)
        self.key = Node("key", start, self.position, name)
        colon = self.skip()
        if text[colon : colon + 1] != ":":
            raise self.error("':' after the key")
        self.position = colon + 1
        return self.value

    def after(self) -> Callable[[], Any] | None:
        position = self.skip()
        parent = self.stack[-1]
        char = self.text[position : position + 1]
        if char == ",":
            parent.commas[-1] = position
            self.position += 1
            return self.member if parent.kind == "object" else self.item
        closing = "}" if parent.kind == "object" else "]"
        if char != closing:
            raise self.error(f"',' or '{closing}'")
        return self.close()

    def close(self) -> Callable[[], Any] | None:
        self.position += 1
        self.stack.pop().end = self.position
        return self.after if self.stack else None


def scan(text: str, *, max_depth: int | None = MAX_DEPTH) -> Node:
    """The value in `text` as a tree with offsets; `Box` for objects and arrays.

    Raises Json5Error for what npm json5 refuses, and for more than `max_depth` levels (None: no limit).
    """
    return _Scanner(text, max_depth).run()


def loads(text: str, *, max_depth: int | None = MAX_DEPTH) -> Any:
    """The value in `text`: `{type: 'slack',}` -> `{"type": "slack"}`. Numbers are JavaScript's. Raises as `scan`."""
    return scan(text, max_depth=max_depth).value
