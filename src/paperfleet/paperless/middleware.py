"""When a server starts: may the documents be used? Around each request: none is looked at twice.

Django makes its middleware when a server starts, and not for other commands.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import JsonResponse
from django.utils.decorators import sync_and_async_middleware

from paperfleet.errors import LeaseError, NotAStorageError, UnavailableError
from paperfleet.paperless.activation import documents, stop
from paperfleet.paperless.documents import looks, patience

if TYPE_CHECKING:
    from collections.abc import Callable


RETRY_AFTER = 10.0
"""Seconds after which a client may ask again, where the storage does not say."""

_log = logging.getLogger("paperfleet.paperless")


@sync_and_async_middleware
def document_storage(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuse to serve when the storage must not be used; else answer each request from one look."""
    _require_usable()

    if iscoroutinefunction(get_response):

        async def answer_async(request: Any) -> Any:  # noqa: ANN401  # Django's
            with looks.remembering(), patience.answering():
                return await get_response(request)

        answer_async.process_exception = unavailable  # type: ignore[attr-defined]  # as below
        return answer_async

    def answer(request: Any) -> Any:  # noqa: ANN401  # Django's
        with looks.remembering(), patience.answering():
            return get_response(request)

    answer.process_exception = unavailable  # type: ignore[attr-defined]  # where Django looks for it
    return answer


def unavailable(_request: object, error: BaseException) -> JsonResponse | None:
    """Answer 503 for a storage or lock that is out of reach for a moment (RFC 9110, 15.6.4)."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UnavailableError | LeaseError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    _log.warning("answered 503: %s", cause)
    asked = getattr(cause, "retry_after", None) or RETRY_AFTER
    return JsonResponse(
        {"detail": f"The document storage does not answer: {cause}"},
        status=503,
        headers={"Retry-After": str(math.ceil(asked))},
    )


def own_folder(_get_response: object) -> None:
    """Refuse to serve from paperless-ngx's own folder when it must not be used; else step aside."""
    _require_usable()
    raise MiddlewareNotUsed


def _require_usable() -> None:
    try:
        documents.require_usable()
    except NotAStorageError as error:
        raise stop(error) from error
