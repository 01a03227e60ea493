"""Files that people upload: whatever is in them, they are read or refused in words."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from connectors.core.config_files import locate_projects, locate_upload, read_zip
from connectors.core.errors import ConfigFileError
from tests.fuzz.conftest import FEW

NAMES = [
    "slack.jsonc",
    "connectors/slack.jsonc",
    "base44/config.jsonc",
    "base44/.app.jsonc",
    "a/../b.json",
    "x.zip",
    "é",
]
PIECES = [
    b'{"type":',
    b'"slack"',
    b"}",
    b"[",
    b"]",
    b",",
    b"//",
    b"/*",
    b"*/",
    b'"scopes"',
    b":",
    b"\xff",
    b"\x00",
    b"'",
]

junk = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join) | st.binary(max_size=60)


def archive(files: dict[str, bytes], damage: int) -> bytes:
    """A zip of the files in which one byte is another."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, raw in files.items():
            made.writestr(name, raw)
    whole = bytearray(buffer.getvalue())
    if damage:
        whole[damage % len(whole)] ^= 0xFF
    return bytes(whole)


archives = st.builds(archive, st.dictionaries(st.sampled_from(NAMES), junk, max_size=4), st.integers(0, 4000))


@FEW
@given(st.sampled_from(NAMES), junk | archives)
def test_an_upload_is_read_or_refused_in_words(name: str, raw: bytes) -> None:
    with suppress(ConfigFileError):
        locate_upload(name, raw)


@FEW
@given(archives | junk)
def test_an_archive_of_many_projects_is_read_or_refused_in_words(raw: bytes) -> None:
    with suppress(ConfigFileError):
        locate_projects(read_zip(raw, "all.zip"))
