"""SQL on when the keys of endpoints were seen: the operator's, not anybody's own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, or_, select, update

from services.fingerprints import Sighting
from services.storage.engine import insert_new
from services.storage.schema import endpoint_keys

KEPT = 100
"""For each endpoint: one whose keys are made anew every hour would fill the table otherwise."""

_table = endpoint_keys.c


def put(connection: Connection, sightings: Sequence[Sighting]) -> None:
    """Take sightings in; what was known before stays where it is older, or newer."""
    for one in sightings:
        here = (_table.endpoint == one.endpoint) & (_table.fingerprint == one.fingerprint)
        values = {"endpoint": one.endpoint, "fingerprint": one.fingerprint, "seen_at": one.seen_at}
        connection.execute(insert_new(connection, endpoint_keys).values(values))
        for column, at in (("used_at", one.used_at), ("refused_at", one.refused_at)):
            if at is not None:
                earlier = or_(_table[column].is_(None), _table[column] < at)
                connection.execute(update(endpoint_keys).where(here, earlier).values({column: at}))
    for endpoint in {one.endpoint for one in sightings}:
        last = func.coalesce(_table.used_at, _table.refused_at, _table.seen_at).desc()
        kept = select(_table.fingerprint).where(_table.endpoint == endpoint).order_by(last).limit(KEPT)
        gone = (_table.endpoint == endpoint) & _table.fingerprint.not_in(kept)
        connection.execute(delete(endpoint_keys).where(gone))


def every(connection: Connection) -> list[Sighting]:
    """Return all sightings."""
    return [
        Sighting(
            endpoint=row.endpoint,
            fingerprint=row.fingerprint,
            seen_at=row.seen_at,
            used_at=row.used_at,
            refused_at=row.refused_at,
        )
        for row in connection.execute(select(endpoint_keys))
    ]
