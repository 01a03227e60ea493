"""The kinds of text that the catalogue's data files hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

STRICT = ConfigDict(extra="forbid", strict=True)

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=False)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$")]
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z].*\.$")]
Initials = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]$")]
Path = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_@/:-]+(\.[A-Za-z0-9_@/:-]+)*$")]
"""The dotted place of a value in a JSON answer; a number counts the items of a list from 0."""
