"""moto's server, which changes one object after the other.

moto looks at `If-Match` and `If-None-Match` and writes without a lock. Of eight creates at once two
were told that they made the object, in 10 of 200 rounds where its threads took turns often, and in
none with this lock. S3 promises that all but one hear 412 or 409 ("Conditional writes" in its user
guide).
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import moto.server
from moto.s3.responses import S3Response

if TYPE_CHECKING:
    from collections.abc import Callable

# The methods of S3Response that look at an object and then change it. They run when the whole
# body has been read; `_key_response_post` completes uploads in parts.
_CHANGES = ("put_object", "copy_object", "delete_object", "_key_response_post")


def one_at_a_time() -> None:
    """Let moto change one object after the other; a body was read whole before that."""
    lock = threading.Lock()
    for name in _CHANGES:
        setattr(S3Response, name, _locked(getattr(S3Response, name), lock))


def _locked(method: Callable[..., Any], lock: threading.Lock) -> Callable[..., Any]:
    @functools.wraps(method)
    def held(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        with lock:
            return method(*arguments, **named)

    return held


if __name__ == "__main__":
    one_at_a_time()
    moto.server.main()
