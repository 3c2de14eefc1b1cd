"""Around each request: no document is looked at twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware

from paperfleet.errors import NotAStorageError
from paperfleet.paperless import files
from paperfleet.paperless.activation import documents, stop

if TYPE_CHECKING:
    from collections.abc import Callable


@sync_and_async_middleware
def document_storage(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuse to serve when the storage must not be used; else answer each request from one look.

    Django makes its middleware when a server starts, and not for other commands.
    """
    try:
        documents.require_usable()
    except NotAStorageError as error:
        raise stop(error) from error

    if iscoroutinefunction(get_response):

        async def answer_async(request: Any) -> Any:  # noqa: ANN401  # Django's
            with files.remembering():
                return await get_response(request)

        return answer_async

    def answer(request: Any) -> Any:  # noqa: ANN401  # Django's
        with files.remembering():
            return get_response(request)

    return answer
