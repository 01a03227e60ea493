"""The database's own refusal: triggers that let nobody change or delete events and segments, on both databases.

A migration puts them in place. Whoever owns the tables can take them away; `verify_audit_trail` says when they are
gone, and finds what was done without them. On SQLite a migration that alters one of the tables makes it anew, without
its triggers: such a migration ends with `install` again (tests/flows/test_trail_guards.py holds it to that).
"""

# ruff: noqa: S608 - the names in these statements are ours

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

EVENTS = "connectors_event"
SEGMENTS = "connectors_trailsegment"

_ONLY_ONCE = (
    "number",
    "first_id",
    "last_id",
    "event_count",
    "previous",
    "digest",
    "key_id",
    "sealed_at",
    "newest_at",
    "id",
    "ids",
    "leaves",
)
"""Columns of a segment that stay whatever happens to it."""

SAID = "The audit trail is append-only"

_POSTGRES_FUNCTIONS = {
    "connectors_trail_event_guard": f"""
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT 1 FROM {SEGMENTS} s
        WHERE s.archived_at IS NOT NULL AND s.last_id >= OLD.id AND s.first_id <= OLD.id AND EXISTS (
            SELECT 1 FROM jsonb_array_elements(s.ids) pair
            WHERE OLD.id BETWEEN (pair->>0)::bigint AND (pair->>1)::bigint
        )
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '{SAID}: % of {EVENTS} is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END """,
    "connectors_trail_segment_guard": f"""
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.archived_at IS NULL AND NEW.archived_at IS NOT NULL AND {
        " AND ".join(f"OLD.{name} IS NOT DISTINCT FROM NEW.{name}" for name in _ONLY_ONCE)
    } THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '{SAID}: % of {SEGMENTS} is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END """,
    "connectors_trail_truncate_guard": f"""
BEGIN
    RAISE EXCEPTION '{SAID}: TRUNCATE is refused' USING ERRCODE = 'integrity_constraint_violation';
END """,
}
"""By the function's name, its body as PostgreSQL keeps it."""

_EACH_ROW = 1 | 2 | 8 | 16
_EACH_TRUNCATE = 2 | 32
"""PostgreSQL's words (pg_trigger.tgtype) for: each row, before, delete, update, truncate."""

_POSTGRES_TRIGGERS = {
    "connectors_trail_event": (EVENTS, _EACH_ROW, "connectors_trail_event_guard"),
    "connectors_trail_event_truncate": (EVENTS, _EACH_TRUNCATE, "connectors_trail_truncate_guard"),
    "connectors_trail_segment": (SEGMENTS, _EACH_ROW, "connectors_trail_segment_guard"),
    "connectors_trail_segment_truncate": (SEGMENTS, _EACH_TRUNCATE, "connectors_trail_truncate_guard"),
}
"""By the trigger's name: its table, when it fires, and what it calls."""

_WHEN = {
    _EACH_ROW: "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW",
    _EACH_TRUNCATE: "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
}

_SQLITE_ARCHIVED = (
    f"EXISTS (SELECT 1 FROM {SEGMENTS} s, json_each(s.ids) pair WHERE s.archived_at IS NOT NULL "
    "AND s.last_id >= OLD.id AND s.first_id <= OLD.id AND OLD.id "
    "BETWEEN json_extract(pair.value, '$[0]') AND json_extract(pair.value, '$[1]'))"
)
_SQLITE_ARCHIVES = "OLD.archived_at IS NULL AND NEW.archived_at IS NOT NULL AND " + " AND ".join(
    f"OLD.{name} IS NEW.{name}" for name in _ONLY_ONCE
)
# REPLACE takes rows away without a DELETE trigger, so what is there already may not be inserted again.
_SQLITE_TRIGGERS = {
    "connectors_trail_event_update": f"BEFORE UPDATE ON {EVENTS}",
    "connectors_trail_event_delete": f"BEFORE DELETE ON {EVENTS} WHEN NOT {_SQLITE_ARCHIVED}",
    "connectors_trail_event_replace": f"BEFORE INSERT ON {EVENTS} "
    f"WHEN EXISTS (SELECT 1 FROM {EVENTS} WHERE id = NEW.id OR uid = NEW.uid)",
    "connectors_trail_segment_update": f"BEFORE UPDATE ON {SEGMENTS} WHEN NOT ({_SQLITE_ARCHIVES})",
    "connectors_trail_segment_delete": f"BEFORE DELETE ON {SEGMENTS}",
    "connectors_trail_segment_replace": f"BEFORE INSERT ON {SEGMENTS} "
    f"WHEN EXISTS (SELECT 1 FROM {SEGMENTS} WHERE id = NEW.id OR number = NEW.number)",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Puts the guards in place; those that are there already are made anew."""
    remove(connection)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            for name in _SQLITE_TRIGGERS:
                cursor.execute(_sqlite_statement(name))
            return
        for name, body in _POSTGRES_FUNCTIONS.items():
            cursor.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        for name, (table, when, function) in _POSTGRES_TRIGGERS.items():
            cursor.execute(f"CREATE TRIGGER {name} {_WHEN[when].format(table=table)} EXECUTE FUNCTION {function}()")
            # Also for a session that pretends to be a replica, which other triggers do not see.
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def remove(connection: BaseDatabaseWrapper) -> None:
    """Takes the guards away: for migrations back, and for tests, which empty all tables."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name, (table, _, _) in _POSTGRES_TRIGGERS.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            return
        for name in _SQLITE_TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of guards that are not in place, that are switched off, or that no longer say what they should."""
    found = _on_postgres(connection) if connection.vendor == "postgresql" else _on_sqlite(connection)
    return sorted(name for name, is_whole in found.items() if not is_whole)


def _on_postgres(connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """By name whether the trigger is as it was made: a condition or an empty function would let everything pass."""
    query = (
        "SELECT t.tgname, c.relname, t.tgtype, p.proname, p.prosrc FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = ''::int2vector "
        "AND pg_table_is_visible(c.oid)"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        there = {name: (table, when, function, body) for name, table, when, function, body in cursor.fetchall()}
    return {
        name: there.get(name) == (*wanted, _POSTGRES_FUNCTIONS[wanted[2]])
        for name, wanted in _POSTGRES_TRIGGERS.items()
    }


def _on_sqlite(connection: BaseDatabaseWrapper) -> dict[str, bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there = dict(cursor.fetchall())
    return {name: there.get(name) == _sqlite_statement(name) for name in _SQLITE_TRIGGERS}


def _sqlite_statement(name: str) -> str:
    return f"CREATE TRIGGER {name} {_SQLITE_TRIGGERS[name]} BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
