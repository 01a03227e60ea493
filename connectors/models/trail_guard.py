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

_POSTGRES_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION connectors_trail_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;
CREATE OR REPLACE FUNCTION connectors_trail_segment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.archived_at IS NULL AND NEW.archived_at IS NOT NULL AND {
    " AND ".join(f"OLD.{name} IS NOT DISTINCT FROM NEW.{name}" for name in _ONLY_ONCE)
} THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '{SAID}: % of {SEGMENTS} is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE FUNCTION connectors_trail_truncate_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{SAID}: TRUNCATE is refused' USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""

_POSTGRES_TRIGGERS = {
    (EVENTS, "connectors_trail_event"): "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION connectors_trail_event_guard()",
    (EVENTS, "connectors_trail_event_truncate"): "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
    "EXECUTE FUNCTION connectors_trail_truncate_guard()",
    (SEGMENTS, "connectors_trail_segment"): "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
    "EXECUTE FUNCTION connectors_trail_segment_guard()",
    (SEGMENTS, "connectors_trail_segment_truncate"): "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
    "EXECUTE FUNCTION connectors_trail_truncate_guard()",
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
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES_FUNCTIONS)
            for (table, name), how in _POSTGRES_TRIGGERS.items():
                cursor.execute(f"CREATE TRIGGER {name} {how.format(table=table)}")
                # Also for a session that pretends to be a replica, which other triggers do not see.
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
            return
        for name, how in _SQLITE_TRIGGERS.items():
            cursor.execute(f"CREATE TRIGGER {name} {how} BEGIN SELECT RAISE(ABORT, '{SAID}'); END")


def remove(connection: BaseDatabaseWrapper) -> None:
    """Takes the guards away: for migrations back, and for tests, which empty all tables."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table, name in _POSTGRES_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            return
        for name in _SQLITE_TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of guards that are not in place, or that are switched off."""
    if connection.vendor == "postgresql":
        wanted = {name for _, name in _POSTGRES_TRIGGERS}
        query = "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND tgname LIKE 'connectors_trail_%%'"
    else:
        wanted = set(_SQLITE_TRIGGERS)
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(query, None if connection.vendor != "postgresql" else [])
        return sorted(wanted - {row[0] for row in cursor.fetchall()})
