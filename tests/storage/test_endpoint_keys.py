"""When keys were seen, in both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.fingerprints import Sighting
from services.storage.endpoint_keys import KEPT
from services.storage.store import Store
from tests.storage.make import WHEN

HOUR = timedelta(hours=1)
ONE = Sighting(endpoint="team", fingerprint="0f", seen_at=WHEN)


async def test_the_first_and_the_last_time_is_kept(store: Store) -> None:
    await store.put_sightings([replace(ONE, used_at=WHEN)])
    await store.put_sightings([replace(ONE, seen_at=WHEN + HOUR, used_at=WHEN + HOUR, refused_at=WHEN + HOUR)])
    await store.put_sightings([replace(ONE, seen_at=WHEN - HOUR, used_at=WHEN - HOUR, refused_at=WHEN - HOUR)])
    await store.put_sightings([ONE, replace(ONE, endpoint="other"), replace(ONE, fingerprint="ff")])
    found = {(one.endpoint, one.fingerprint): one for one in await store.sightings()}
    assert found == {
        ("team", "0f"): replace(ONE, used_at=WHEN + HOUR, refused_at=WHEN + HOUR),
        ("other", "0f"): replace(ONE, endpoint="other"),
        ("team", "ff"): replace(ONE, fingerprint="ff"),
    }


async def test_only_the_last_of_many_are_kept(store: Store) -> None:
    hourly = [replace(ONE, fingerprint=f"{n:03}", seen_at=WHEN + n * HOUR) for n in range(KEPT + 5)]
    await store.put_sightings([replace(ONE, endpoint="other"), replace(hourly[0], used_at=WHEN + 1_000 * HOUR)])
    await store.put_sightings(hourly[1:])
    found = {(one.endpoint, one.fingerprint) for one in await store.sightings()}
    assert found == {("other", "0f"), ("team", "000"), *(("team", f"{n:03}") for n in range(6, KEPT + 5))}
