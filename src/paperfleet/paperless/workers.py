"""What a Celery worker does before it forks the processes that run its tasks, and a scheduler."""

from __future__ import annotations

import json
import os
import sys
import traceback

from django.db import connections

from paperfleet.errors import ConfigurationError, NotAStorageError
from paperfleet.paperless import starts
from paperfleet.paperless.activation import documents, stop
from paperfleet.storage.bucket import findings


def check_before_beating(**_signal: object) -> None:
    """End Celery's scheduler unless the documents are where this process would look for them.

    In a fleet it is also ended where it holds no lease.
    """
    try:
        starts.require_lease(documents.configuration, "scheduler")
        documents.require_usable()
    except (ConfigurationError, NotAStorageError) as error:
        raise stop(error) from error


def check_before_forking(**_signal: object) -> None:
    """Look at the storage before a Celery worker starts, in a child: it will fork its own.

    The client of an object store does not live on in a forked child, so that the parent must not
    have used it. What the child has found out, each process that runs a task inherits.
    """
    connections.close_all()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        code = 1
        try:
            documents.require_usable()
            documents.require_writable()
            with os.fdopen(writable, "wb") as answer:
                answer.write(
                    json.dumps(
                        [documents.is_checked, documents.checked_as, findings.noted()]
                    ).encode()
                )
            code = 0
        except NotAStorageError as error:
            sys.stderr.write(f"{stop(error)}\n")
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()  # os._exit tells nobody
            raise
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable, "rb") as answer:
        found = answer.read()
    _, code = os.waitpid(child, 0)
    if code:
        raise SystemExit(1)
    documents.is_checked, documents.checked_as, tried = json.loads(found)
    findings.adopt(tried)
