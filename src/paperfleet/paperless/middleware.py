"""When a server starts: may the documents be used? Around each request: none is looked at twice.

Django makes its middleware when a server starts, and not for other commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.utils.decorators import sync_and_async_middleware

from paperfleet.errors import NotAStorageError
from paperfleet.paperless import files
from paperfleet.paperless.activation import documents, stop

if TYPE_CHECKING:
    from collections.abc import Callable


@sync_and_async_middleware
def document_storage(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuse to serve when the storage must not be used; else answer each request from one look."""
    _require_usable()

    if iscoroutinefunction(get_response):

        async def answer_async(request: Any) -> Any:  # noqa: ANN401  # Django's
            with files.remembering():
                return await get_response(request)

        return answer_async

    def answer(request: Any) -> Any:  # noqa: ANN401  # Django's
        with files.remembering():
            return get_response(request)

    return answer


def own_folder(_get_response: object) -> None:
    """Refuse to serve from paperless-ngx's own folder when it must not be used; else step aside."""
    _require_usable()
    raise MiddlewareNotUsed


def _require_usable() -> None:
    try:
        documents.require_usable()
    except NotAStorageError as error:
        raise stop(error) from error
