"""What remains true when nobody saw how an operation ended. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from paperfleet.model import Delete, KnownFile, Move, MoveFolder, Operation, Put

if TYPE_CHECKING:
    from collections.abc import Iterator


def doubts_of(operation: Operation) -> Iterator[KnownFile]:
    """Yield the rows that the journal must hold, all unsure, when the outcome is unknown.

    The row of a name that may have got new content carries its digest in ``intended_sha256``, and
    an empty ``sha256`` since the name may be new. The row of a name that may have lost its content
    has no ``intended_sha256``.
    """
    match operation:
        case Put():
            yield _after_put(operation)
        case Move():
            yield from _after_move(operation)
        case MoveFolder():
            for member in operation.members:
                yield from _after_move(member)
        case Delete():
            yield _unsure(operation.known)
        case _:
            assert_never(operation)


def encode(operation: Operation) -> str:
    """Return the doubts of an operation as JSON text."""
    # Escapes would let lone surrogates pass that SQLite refuses.
    return json.dumps(list(doubts_of(operation)), ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> list[KnownFile]:
    """Return the rows that ``encode`` wrote."""
    return [KnownFile(*fields) for fields in json.loads(text)]


def _after_put(put: Put) -> KnownFile:
    source = put.source
    return KnownFile(
        name=source.name,
        target_name=put.target_name,
        size=source.size,
        sha256="",
        modified_ns=source.modified_ns,
        file_id=source.file_id,
        version=source.etag,
        target_etag=None,
        sure=False,
        intended_sha256=source.sha256,
    )


def _after_move(move: Move) -> Iterator[KnownFile]:
    yield _unsure(move.known)
    arrived = move.known._replace(
        name=move.new_name,
        target_name=move.target_name,
        sha256="",
        target_etag=None,
        sure=False,
        intended_sha256=move.known.sha256 or move.known.intended_sha256,
    )
    if move.source is not None:
        arrived = arrived._replace(
            modified_ns=move.source.modified_ns,
            file_id=move.source.file_id,
            version=move.source.etag,
        )
    yield arrived


def _unsure(known: KnownFile) -> KnownFile:
    return known._replace(sure=False)
