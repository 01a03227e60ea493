"""One connector file: what it declares, judged as the Base44 CLI (0.1.18) judges it.

Stated deviations: at most `MAX_BYTES`, at most `jsonc.MAX_DEPTH` levels, and no scope with a NUL or half a surrogate
pair (no database stores them, no provider has one).
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from dataclasses import dataclass
from typing import Any

from connectors.core.errors import ConfigFileError
from connectors.core.jsonc.reader import Box, Json5Error, Node, place, scan
from connectors.core.specs import TYPE_PATTERN, ConnectorSpec

MAX_BYTES = 1024 * 1024
"""The largest file that is read; real connector files have 200 to 2,000 bytes."""

SUFFIXES = (".json", ".jsonc")
"""What the CLI's glob takes: `.JSONC` and `.json5` are left out, on every system."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{16,}={0,2}\s*")
_HTML = re.compile(r"<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
_KIND_WORDS = {"object": "an object", "array": "a list", "string": "a string", "number": "a number"}


@dataclass(frozen=True, slots=True)
class ConnectorFile:
    """A connector file as read: `path` is posix and relative to the project's root, `raw` is every byte of it."""

    path: str
    spec: ConnectorSpec
    raw: bytes

    @property
    def text(self) -> str:
        """The file's text as the CLI sees it: bytes that are no UTF-8 appear as U+FFFD."""
        return self.raw.decode("utf-8", "replace")


def parse_connector(raw: bytes, path: str) -> ConnectorSpec:
    """What the file declares. Without `scopes` there are none; of a repeated key the last one counts.

    Raises ConfigFileError with line and column for whatever the Base44 CLI would refuse, saying what was expected;
    `path` is used for that message only.
    """
    text = decode(raw, path)
    root = parse(raw, text, path)
    if not isinstance(root, Box) or root.kind != "object":
        reason = _foreign(raw, text) or f"expected an object with a type and scopes, found {_kind(root)}"
        raise _error(text, path, root, reason)
    return ConnectorSpec(type=_type(text, path, root), scopes=_scopes(text, path, root))


def read_object(raw: bytes, path: str) -> dict[str, Any]:
    """The object in a project file (config.jsonc, .app.jsonc). Raises ConfigFileError as `parse_connector`."""
    text = decode(raw, path)
    root = parse(raw, text, path)
    if root.kind != "object":
        raise _error(text, path, root, f"expected an object, found {_kind(root)}")
    value: dict[str, Any] = root.value
    return value


def decode(raw: bytes, path: str) -> str:
    """The text as Node reads it (no byte is an error); ConfigFileError when there is more of it than MAX_BYTES."""
    if len(raw) > MAX_BYTES:
        raise ConfigFileError(path, f"the file is larger than {MAX_BYTES // 1024} KB; connector files are small")
    return raw.decode("utf-8", "replace")


def parse(raw: bytes, text: str, path: str) -> Node:
    """The tree of a file's text; ConfigFileError says what the file is instead when it is no JSON5 at all."""
    try:
        return scan(text)
    except Json5Error as error:
        if foreign := _foreign(raw, text):
            raise ConfigFileError(path, foreign) from error
        if not text.strip():
            raise ConfigFileError(path, "the file is empty", line=1, column=1) from error
        raise ConfigFileError(path, str(error), line=error.line, column=error.column) from error


def is_connector_name(name: str) -> bool:
    """Whether the CLI would read a file of this name in a connectors directory: `slack.jsonc` yes, `.x.json` no."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def _type(text: str, path: str, root: Box) -> str:
    node = root.last("type")
    if node is None:
        hint = "; this looks like the project's own config file" if root.last("connectorsDir") else ""
        raise _error(text, path, root, f"there is no type; expected an object with a type and scopes{hint}")
    if node.kind != "string":
        raise _error(text, path, node, f"type: expected a string, found {_kind(node)}")
    name: str = node.value
    if not TYPE_PATTERN.fullmatch(name):
        raise _error(text, path, node, "type: expected letters a to z, digits, _ and - only, at least one of them")
    return name


def _scopes(text: str, path: str, root: Box) -> tuple[str, ...]:
    node = root.last("scopes")
    if node is None:
        return ()
    if not isinstance(node, Box) or node.kind != "array":
        raise _error(text, path, node, f"scopes: expected a list of strings, found {_kind(node)}")
    for item in node.items:
        if item.kind != "string":
            raise _error(text, path, item, f"scopes: expected a string, found {_kind(item)}")
        if _UNSTORABLE.search(item.value):
            raise _error(text, path, item, "scopes: the string holds a NUL or half a character (a lone surrogate)")
    return tuple(node.value)


def _kind(node: Node) -> str:
    return _KIND_WORDS.get(node.kind) or str(node.value).replace("None", "null").lower()


def _error(text: str, path: str, node: Node, message: str) -> ConfigFileError:
    line, column = place(text, node.start)
    return ConfigFileError(path, message, line=line, column=column)


def _foreign(raw: bytes, text: str) -> str:
    """What a file that is no connector file seems to be, in a sentence that helps; "" when nothing comes to mind."""
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "this is a zip archive; import it as an archive, under a name that ends in .zip"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the file is in UTF-16; save it as UTF-8"
    if b"\0" in raw:
        return "this is a binary file; expected JSON text in UTF-8"
    if _HTML.match(text.lstrip("\ufeff \t\r\n")):
        return "this is HTML or XML, perhaps a login or error page saved by a download; expected JSON text"
    if _is_base64(text):
        return "the content is base64 (some APIs hand out files like that); decode it first"
    return ""


def _is_base64(text: str) -> bool:
    if not _BASE64.fullmatch(text):
        return False
    try:
        return b"{" in base64.b64decode(text, validate=False)
    except binascii.Error:
        return False
