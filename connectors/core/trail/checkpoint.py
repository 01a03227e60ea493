"""Checkpoints: signed words about how far the trail had come, to be kept where nobody who can change it can reach."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.core.errors import PortalError
from connectors.core.trail.form import canonical, moment
from connectors.core.trail.keys import TrailKey

KIND = "connector-portal-trail-checkpoint"
FIELDS = ("kind", "segment", "digest", "events", "at", "key")
MAX_BYTES = 100_000


class CheckpointError(PortalError):
    """What was given as a checkpoint is none, or nobody with the right key signed it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """That segment `segment` had this digest, with `events` sealed up to and with it."""

    segment: int
    digest: str
    events: int
    at: str
    key_id: str
    signature: str

    @property
    def content(self) -> dict[str, Any]:
        """What is signed."""
        values = (KIND, self.segment, self.digest, self.events, self.at, self.key_id)
        return dict(zip(FIELDS, values, strict=True))

    @property
    def document(self) -> dict[str, Any]:
        """The checkpoint as JSON has it."""
        return {**self.content, "signature": self.signature}

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the holder of the private half of this key (in base64) signed it."""
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
            key.verify(base64.b64decode(self.signature, validate=True), canonical(self.content))
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


def sign(key: TrailKey, segment: int, digest: str, events: int, now: dt.datetime) -> Checkpoint:
    """A checkpoint of the moment."""
    unsigned = Checkpoint(segment, digest, events, moment(now), key.key_id, "")
    signature = key.signing_key.sign(canonical(unsigned.content))
    return Checkpoint(segment, digest, events, unsigned.at, key.key_id, base64.b64encode(signature).decode("ascii"))


def public_key(key: TrailKey) -> str:
    """What others need to check checkpoints with, in base64: no secret."""
    return base64.b64encode(key.signing_key.public_key().public_bytes_raw()).decode("ascii")


def read(text: str, source: str) -> list[Checkpoint]:
    """The checkpoints of a file: one document, or one a line. Raises CheckpointError, which names `source`."""
    try:
        return [_read_one(json.loads(text))]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    try:
        return [_read_one(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{source} holds no checkpoint of the trail.") from None


def _read_one(document: Any) -> Checkpoint:
    if document["kind"] != KIND:
        raise ValueError("another kind")
    numbers = (document["segment"], document["events"])
    texts = (document["digest"], document["at"], document["key"], document["signature"])
    if not all(type(number) is int for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise TypeError("not as a checkpoint is written")
    digest, at, key_id, signature = texts
    return Checkpoint(numbers[0], digest, numbers[1], at, key_id, signature)
