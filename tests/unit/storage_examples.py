"""Storages that the registry's tests open by dotted path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from paperfleet.secret import Secret

NUMBER = 1


class Complete(MemoryBackend):
    def __init__(
        self,
        number: int = 1,
        ratio: float = 1.0,
        text: str = "",
        key: Secret | None = None,
        **rest: object,
    ) -> None:
        super().__init__()
        self.given = (number, ratio, text, key, rest)


def make(**rest: object) -> Complete:
    return Complete(**rest)  # type: ignore[arg-type]  # the names are the caller's


class Incomplete:
    """Has some of the nine methods."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    open = save = delete = exists = lambda *_: None


def make_incomplete() -> Any:  # noqa: ANN401 (a factory that does not say what it makes)
    return Incomplete()
