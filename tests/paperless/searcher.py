"""One of several web servers on the small project, which searches and edits as told. In a child."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0


def main() -> None:
    """Answer each line, a JSON list, with one."""
    from django.core.wsgi import get_wsgi_application

    get_wsgi_application()
    from paperfleet.paperless.search import own

    own.LONGEST = PATIENCE  # type: ignore[misc]  # what is promised, however slow the machine is
    print("null", flush=True)
    for line in sys.stdin:
        what, *rest = json.loads(line)
        print(json.dumps(DOES[what](*rest)), flush=True)


def documents() -> Any:  # noqa: ANN401  # a manager
    return importlib.import_module("documents.models").Document.objects


def backend() -> Any:  # noqa: ANN401  # paperless-ngx's
    return importlib.import_module("documents.search").get_backend()


def new(title: str) -> int:
    number: int = documents().create(title=title).pk
    return number


def rename(number: int, title: str) -> list[int]:
    """Edit as paperless-ngx does: save, then tell the index; and search at once."""
    found = documents().get(pk=number)
    found.title = title
    found.save()
    backend().add_or_update(found)
    return search(title)


def trash(number: int) -> None:
    """As paperless-ngx does: the index hears of it before the database does."""
    backend().remove(number)
    documents().get(pk=number).delete()


def search(words: str) -> list[int]:
    found: list[int] = backend().search_ids(words)
    return found


DOES: dict[str, Callable[..., Any]] = {
    "new": new,
    "rename": rename,
    "trash": trash,
    "search": search,
    "autocomplete": lambda term: backend().autocomplete(term),
    "similar": lambda number: backend().more_like_this_ids(number),
    "entries": lambda: {str(k): v for k, v in backend().index.entries.items()},
}

if __name__ == "__main__":
    main()
