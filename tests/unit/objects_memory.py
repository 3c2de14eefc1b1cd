"""Object stores in memory, of several abilities, for tests of what lies above the requests."""

from __future__ import annotations

from obstore.store import MemoryStore

from paperfleet.storage.bucket.bucket import ObjectStoreBackend
from paperfleet.storage.bucket.features import NONE, Features

CREATE = Features(create=True, update=False, copy_new=False)
ALL = Features(create=True, update=True, copy_new=True)
EVERY_KIND = {"all": ALL, "create": CREATE, "none": NONE}


def memory_backend(
    store: MemoryStore | None = None, features: Features = ALL, part_size: int = 8 << 20
) -> ObjectStoreBackend:
    """Return a storage below ``docs`` of a store in memory."""
    return ObjectStoreBackend(
        store or MemoryStore(),
        label="mem://docs",
        location="docs",
        part_size=part_size,
        features=features,
        presigns=False,
    )
