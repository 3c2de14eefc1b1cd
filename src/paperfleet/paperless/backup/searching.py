"""Searching in an installation that was restored, by paperless-ngx's own search.

Of some documents it is known which words are in them; a search for one has to find the document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

SEARCHES = 3
_WORDS = 5
"""So many words are tried for one document: some are too common to be in an index."""
_LONGEST = 40
"""Words are chosen among so many of the longest."""
_PAGE = 10
_LETTERS = "bcdfghjklmnpqrstvwxz"
_NONSENSE = 24
_WORD = re.compile(r"(?<!\w)[^\W\d_]{5,20}(?!\w)")
_ANY = re.compile(r"(?<!\w)\w{2,20}(?!\w)")


class Searched(NamedTuple):
    """How many searches found their document, and what is wrong."""

    found: int
    wrong: list[str]


def search(numbers: Iterable[int], random: Random) -> Searched:
    """Search for three documents of these, as ``random`` chooses them, and for what is nowhere."""
    found, wrong = 0, []
    for number, words in _chosen(numbers, random):
        if any(_finds(word, number) for word in words):
            found += 1
        else:
            wrong.append(f"document {number}: no search for a word that is in it finds it")
    nonsense = "".join(random.choices(_LETTERS, k=_NONSENSE))
    if _finds(nonsense, None):
        wrong.append("a search for a word that is nowhere finds something")
    return Searched(found, wrong)


def _chosen(numbers: Iterable[int], random: Random) -> list[tuple[int, list[str]]]:
    """Return documents with words of theirs; where there are few, one comes with several words."""
    shuffled = list(numbers)
    random.shuffle(shuffled)
    chosen: list[tuple[int, list[str]]] = []
    for number, words in _searchable(shuffled):
        best = sorted(sorted(words), key=len, reverse=True)[:_LONGEST]
        chosen.append((number, random.sample(best, min(_WORDS, len(best)))))
        if len(chosen) == SEARCHES:
            return chosen
    for number, tried in tuple(chosen):
        chosen += [(number, tried[first:]) for first in (1, 2) if first < len(tried)]
    return chosen[:SEARCHES]


def _searchable(numbers: Iterable[int]) -> Iterator[tuple[int, set[str]]]:
    """Yield those that paperless-ngx has in its index: not the trash, nor versions of others."""
    present = apps.get_model("documents", "Document").objects
    for number in numbers:
        document = present.filter(pk=number).first()
        if document is None or getattr(document, "root_document_id", None) is not None:
            continue
        text = f"{document.title} {_content(document)}"
        if words := set(_WORD.findall(text)) or set(_ANY.findall(text)):
            yield number, words


def _content(document: Any) -> str:  # noqa: ANN401  # a model
    if hasattr(document, "get_effective_content"):  # paperless-ngx 3
        return str(document.get_effective_content() or "")
    return str(document.content or "")


def _finds(word: str, number: int | None) -> bool:
    """Say whether a search finds a document, or any one."""
    try:
        from documents.search import get_backend  # noqa: PLC0415  # paperless-ngx 2 has none
    except ImportError:
        return _finds_in_whoosh(word, number)
    found = get_backend().search_ids(word, user=None)
    return bool(found) if number is None else number in found


def _finds_in_whoosh(word: str, number: int | None) -> bool:
    """Search as the view of paperless-ngx 2 does (``documents/views.py``)."""
    from documents import index  # noqa: PLC0415  # as above

    rows = apps.get_model("documents", "Document").objects.all()
    wanted = rows if number is None else rows.filter(pk=number)
    with index.open_index_searcher() as searcher:
        asked = index.DelayedFullTextQuery(searcher, {"query": word}, _PAGE, filter_queryset=wanted)
        return len(asked) > 0
