"""One of several web servers on the small project, which does what it is told. In a child."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Answer each line, a JSON list, with one: the error, or what was asked for."""
    import django

    django.setup()
    from django.conf import settings

    settings.FILENAME_FORMAT = "{{ title }}"
    document = importlib.import_module("documents.models").Document
    consume = importlib.import_module("documents.consumer").consume
    for line in sys.stdin:
        what, subject, *rest = json.loads(line)
        answer: object = None
        if what == "consume":
            with tempfile.TemporaryDirectory() as folder:
                local = Path(folder) / "a.pdf"
                local.write_bytes(rest[0].encode())
                answer = consume(local, subject).pk
        elif what == "rename":
            found = document.objects.get(pk=subject)
            found.title = rest[0]
            found.save()
        else:
            answer = document.objects.get(pk=subject).source_file.read().decode()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
