"""Values that break things: too long, too big, of another type, in another encoding, with a NUL in them."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import quote, urlencode

NUMBERS = ["0", "1", "-1", "00", "1e9", "2147483648", "9223372036854775808", "9" * 40, "9" * 5000, "٣", "1.5", "NaN"]
TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud7ff\ue000",
    "\U0001f98a" * 40,
    "é" * 3000,
    "%00%ff",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "{{ 7|add:7 }}",
    "{",
    "[]",
    "null",
    '{"a":' * 300,
    "a,b,,c",
    "1,2,x",
    "2026-02-30",
    "9999-12-31",
    "0001-01-01",
    "2026-11-21T25:61",
    "https://[::1",
    "http://\x00/",
    "all",
    "none",
    "unknown",
    "_all",
    "(((((",
    "\\",
    "a" * 20_000,
    "\u202e\u0000\u2028",
]
HEADERS = {
    "Accept": ["", "*/*;q=x", "text/html, \x01", "application/json"],
    "Accept-Language": ["", "xx-" + "y" * 500, "de;q=nan", "*"],
    "Authorization": ["Bearer", "Bearer ", "Bearer \xff", "Basic !!!", "Basic " + "A" * 3000],
    "Cookie": ["sessionid=%00; csrftoken=", "sessionid=" + "a" * 4000, "=;;=", 'messages="[['],
    "HX-Request": ["true", "\x01"],
    "HX-Target": ["x" * 3000],
    "If-Modified-Since": ["yesterday", "Sat, 99 Nov 2026 99:99:99 GMT"],
    "If-None-Match": ['"', 'W/"x'],
    "Range": ["bytes=9-1", "bytes=-", "rows=1"],
    "Referer": ["http://[", "\xff"],
    "X-Forwarded-For": ["", "1.2.3.4, x", "::1%eth0", "9" * 3000],
    "X-Forwarded-Proto": ["https", "gopher"],
    "X-Request-ID": ["", "a" * 5000, "\xff\n".strip(), "../x"],
    "X-GitHub-Event": ["push", "\xff"],
    "X-Hub-Signature-256": ["sha256=", "sha256=zz", "md5=1"],
    "X-Gitlab-Token": ["", "\xff"],
}
TYPES = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded; charset=nonsense",
    "application/json",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=x",
    "text/plain; charset=\xff",
    "application/zip",
    "",
]
BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"{",
    b"[" * 5000,
    b"a=%ff%fe&b=%00",
    b"&" * 3000,
    b"a" * 100_000,
    b"PK\x03\x04" + b"\x00" * 60,
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jsonc"\r\n\r\n{\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="\x00"\r\n\r\nPK\x03\x04\r\n--x--',
    b"--x\r\nContent-Disposition: form-data\r\n\r\n--x\r\n",
    b"--x\r\n\r\n",
]

METHODS = ["GET"] * 6 + ["POST"] * 5 + ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def text(chance: Random) -> str:
    """Any text, more often than not one that has broken something somewhere."""
    if chance.random() < 0.8:
        return chance.choice(TEXTS + NUMBERS)
    return "".join(chr(chance.choice((chance.randrange(128), chance.randrange(0xD800)))) for _ in range(20))


def pairs(chance: Random, names: list[str], most: int) -> str:
    """Up to so many of these parameters with strange values, as a query or a form has them."""
    chosen = [(chance.choice(names), text(chance)) for _ in range(chance.randint(0, most))]
    return urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in chosen])


def body(chance: Random, names: list[str]) -> dict[str, Any]:
    """A form with strange fields, more often than a body that is none."""
    if chance.random() < 0.75:
        return {"data": pairs(chance, names, 10).encode(), "content_type": TYPES[0]}
    raw = chance.choice(BODIES) if chance.random() < 0.7 else chance.randbytes(chance.randrange(300))
    return {"data": raw, "content_type": chance.choice(TYPES)}


def headers(chance: Random) -> dict[str, str]:
    """A few headers that no browser would send."""
    return {name: chance.choice(HEADERS[name]) for name in chance.sample(sorted(HEADERS), chance.randint(0, 3))}


def in_path(chance: Random, kind: str, known: list[str]) -> str:
    """A value for a place of an address: the key of a row that there is, more often than not."""
    if kind == "uuid":
        return "00000000-0000-4000-8000-00000000000" + str(chance.randrange(10))
    if kind == "slug":
        return chance.choice(["gmail", "withdrawn", "a" * 400, "-", "_"])
    if chance.random() < 0.7:
        return chance.choice(known)
    if kind == "int":
        return chance.choice([number for number in NUMBERS if number.isascii() and number.isdigit()])
    return quote(text(chance), safe="/" if kind == "path" else "") or "x"
