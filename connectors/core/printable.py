"""Text from anywhere as a part of one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """One line without control characters: names and scopes come from others' files and could steer a terminal."""
    return "".join(
        sign if sign.isprintable() else " " if sign in "\r\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text
    )


def one_line(text: str, longest: int) -> str:
    """One line with single spaces, nothing unprintable, at most `longest` characters; where it was cut it ends in …"""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
