"""The lock file: what connector files cannot say of a project's connectors, in a form whose diff means something.

`connectors.lock.json` lies beside the connectors directory, never in it: the Base44 CLI takes every *.json there for a
connector. It holds no time, no status and no id, its keys and scopes are sorted, so the same state is the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from connectors.core.config_files.export import FileChange
from connectors.core.config_files.read import read_object
from connectors.core.config_files.tree import DirectoryTree
from connectors.core.errors import ConfigFileError
from connectors.core.specs import TYPE_PATTERN

LOCK_NAME = "connectors.lock.json"
VERSION = 1

_PRESENCE = {
    True: "Base44 has it now",
    False: "Base44 does not have it any more",
    None: "whether Base44 has it is not known any more",
}
_KEYS = frozenset({"account", "atBase44", "connectionConfig", "granted", "registered"})


@dataclass(frozen=True, slots=True)
class LockedConnector:
    """What is known of one connector beside its file. None: not known, which is not the same as none.

    `at_base44` says whether Base44 lists it, which `registered` cannot say of a type without scopes. `registered` is
    what Base44 lists, `granted` what the provider says of the portal's token, `account` an `account_fingerprint`.
    """

    at_base44: bool | None = None
    registered: tuple[str, ...] | None = None
    granted: tuple[str, ...] | None = None
    account: str | None = None
    connection_config: Mapping[str, str] = field(default_factory=dict)


LockFile = Mapping[str, LockedConnector]
"""A lock file's connectors by integration type."""


def lock_path(connectors_dir: str) -> str | None:
    """The lock file's path: "base44/connectors" -> "base44/connectors.lock.json".

    None when the connectors directory is the repository's top: nothing lies beside that.
    """
    if not connectors_dir:
        return None
    folder = connectors_dir.rpartition("/")[0]
    return f"{folder}/{LOCK_NAME}" if folder else LOCK_NAME


def account_fingerprint(app_id: str, account: str) -> str | None:
    """Tells one account of an app from another without naming it; None for "", an account that is not known.

    An address does not belong in the history of a repository, where many can read it and nobody can delete it. With
    the app id as salt the fingerprints of one person in two apps differ. That hides an address and does not protect it:
    whoever can guess the address can check the guess. A key of the portal's would prevent that, but then every change
    of the key would change every lock file.
    """
    if not account.strip():
        return None
    told = json.dumps(["base44 account", app_id, account.strip().lower()])
    return f"sha256:{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def render(lock: LockFile) -> bytes:
    """The file's bytes: two spaces, sorted keys and scopes, a final newline. What is not known is null."""
    connectors = {type_: _as_json(connector) for type_, connector in lock.items()}
    document = {"lockfileVersion": VERSION, "connectors": connectors}
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parse(raw: bytes, path: str = LOCK_NAME) -> dict[str, LockedConnector]:
    """What a lock file says. Raises ConfigFileError for what is none, or one that a newer portal has written."""
    if raw.startswith(b"<<<<<<<") or b"\n<<<<<<<" in raw:
        raise ConfigFileError(path, "holds an unfinished merge; take either side, the next export writes it anew")
    document = read_object(raw, path)
    version = document.get("lockfileVersion")
    if version != VERSION:
        wanted = f"lockfileVersion: expected {VERSION}, found {json.dumps(version, default=str)[:20]}"
        raise ConfigFileError(path, f"{wanted}; perhaps a newer portal has written it")
    connectors = document.get("connectors")
    if not isinstance(connectors, dict):
        raise ConfigFileError(path, "connectors: expected an object")
    return {type_: _read(type_, value, path) for type_, value in connectors.items()}


def lock_folder(directory: Path) -> Path:
    """The folder on disk that the lock file of a connectors directory lies in, also for a directory given as "."."""
    return Path(os.path.abspath(directory)).parent  # noqa: PTH100 - resolve() would follow a link of the directory's


def read_lock(folder: Path) -> bytes | None:
    """The lock file in a folder on disk; None when there is none. Raises ConfigFileError when it must not be read."""
    tree = DirectoryTree(folder)
    return tree.read(LOCK_NAME) if tree.entries("").get(LOCK_NAME) == "file" else None


def renewed(before: bytes | None, lock: LockFile) -> bytes:
    """The bytes to write: `before` itself when it says the same already, however somebody has formatted it."""
    if before is not None:
        try:
            if not differences(parse(before), lock):
                return before
        except ConfigFileError:  # whatever is wrong with it, the new one puts it right
            pass
    return render(lock)


def plan_lock(before: bytes | None, lock: LockFile) -> FileChange:
    """The change, as an export's of a connector file, that makes the lock file `before` say `lock`. No I/O."""
    after = renewed(before, lock)
    kind: Literal["new", "edited", "unchanged"] = "new" if before is None else "edited"
    return FileChange(LOCK_NAME, "unchanged" if after is before else kind, before, after, "")


def differences(old: LockFile, new: LockFile) -> dict[str, tuple[str, ...]]:
    """What `new` says otherwise than the lock file `old`, by type, as clauses; empty when nothing differs. No I/O.

    Example: {"slack": ("registered at Base44 now: im:read", "the account is another one")}.
    """
    found = {type_: tuple(_differences(old.get(type_), new.get(type_))) for type_ in sorted({*old, *new})}
    return {type_: clauses for type_, clauses in found.items() if clauses}


def _as_json(connector: LockedConnector) -> dict[str, Any]:
    return {
        "account": connector.account,
        "atBase44": connector.at_base44,
        "connectionConfig": dict(connector.connection_config),
        "granted": _sorted(connector.granted),
        "registered": _sorted(connector.registered),
    }


def _sorted(scopes: Iterable[str] | None) -> list[str] | None:
    return None if scopes is None else sorted(set(scopes))


def _read(type_: str, value: object, path: str) -> LockedConnector:
    where = f'connectors["{type_}"]'
    if not TYPE_PATTERN.fullmatch(type_):
        raise ConfigFileError(path, f"{ascii(where)[1:-1]}: this cannot be an integration type")
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise ConfigFileError(path, f"{where}: expected an object with {', '.join(sorted(_KEYS))}")
    account, listed, config = value["account"], value["atBase44"], value["connectionConfig"]
    if not (account is None or isinstance(account, str)):
        raise ConfigFileError(path, f"{where}.account: expected a string or null")
    if not (listed is None or isinstance(listed, bool)):
        raise ConfigFileError(path, f"{where}.atBase44: expected true, false or null")
    if not isinstance(config, dict) or not all(isinstance(item, str) for item in config.values()):
        raise ConfigFileError(path, f"{where}.connectionConfig: expected an object with strings")
    registered, granted = (_scopes(value[key], f"{where}.{key}", path) for key in ("registered", "granted"))
    return LockedConnector(listed, registered, granted, account, config)


def _scopes(value: object, where: str, path: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise ConfigFileError(path, f"{where}: expected a list of strings or null")
    return tuple(sorted(set(value)))


def _differences(old: LockedConnector | None, new: LockedConnector | None) -> Iterator[str]:
    if old is None or new is None:
        yield "the portal has no such connector any more" if new is None else "it is new since the file was written"
        return
    if old.at_base44 != new.at_base44:
        yield _PRESENCE[new.at_base44]
    yield from _scopes_differ("registered at Base44", old.registered, new.registered)
    yield from _scopes_differ("granted", old.granted, new.granted)
    if old.account != new.account:
        yield "the account is not known any more" if new.account is None else "the account is another one"
    for name in sorted({*old.connection_config, *new.connection_config}):
        if old.connection_config.get(name) != new.connection_config.get(name):
            yield f"connection config: {name} is another one"


def _scopes_differ(what: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> Iterator[str]:
    if old is None or new is None:
        if old is not new:
            yield f"{what}: not known any more" if new is None else f"{what}: known now ({_listed(new)})"
        return
    if added := set(new) - set(old):
        yield f"{what} now: {_listed(added)}"
    if removed := set(old) - set(new):
        yield f"{what} no longer: {_listed(removed)}"


def _listed(scopes: Iterable[str]) -> str:
    return ", ".join(sorted(scopes)) or "no scopes"
