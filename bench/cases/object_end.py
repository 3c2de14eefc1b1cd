"""(g) The end of a large object, as a PDF reader asks for it: how many bytes are transferred."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.buckets import ranged_server
from bench.object_end import LAST
from bench.processes import BenchError, python, run
from bench.relay import counted
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from bench.setting import Setting

CLIENTS = ("paperfleet", "django-storages")
NAME = "large.pdf"
BYTES, SECONDS = "bytes transferred", "seconds"
_MOST = 0.01


def measure(setting: Setting) -> Result:
    """Count what the server sends, through a relay."""
    size = setting.scale.large_mb * 1_000_000
    result = Result(
        "object_end",
        "The end of a large object",
        f"An object of {setting.scale.large_mb} MB is opened and its last {LAST:,} bytes are read. "
        "Bytes are all that the server sends, headers included. On moto, which answers with parts "
        "of objects.",
    )
    with ranged_server() as running, counted(running.server.endpoint_url) as relay:
        setting.say(f"  {running.title}")
        bucket = running.bucket(relay.url)
        running.server.client.put_object(
            Bucket=bucket.bucket, Key=f"{bucket.location}/{NAME}", Body=bytes(size)
        )
        for _ in range(setting.scale.rounds):
            for client in CLIENTS:
                job = {"client": client, "bucket": bucket._asdict(), "name": NAME}
                relay.answered()
                relay.taken()
                ended = run(python("bench.object_end")._replace(input=json.dumps(job)))
                found = json.loads(ended.output)
                if found["bytes"] != LAST:
                    raise BenchError(f"{client} read {found['bytes']} bytes")
                asked = ", ".join(f"{n} {method}" for method, n in relay.taken().most_common())
                result.add(running.title, client, BYTES, "", relay.answered(), asked)
                result.add(running.title, client, SECONDS, "s", found["seconds"])
        ours = result.median(running.title, CLIENTS[0], BYTES)
        measured = f"{ours:,.0f} of {size:,} bytes: {100 * ours / size:.2f} %"
        verdict = Verdict("under 1 %", running.title, measured, ours < _MOST * size)
        # The share is of a large object: what is asked for at first does not shrink with it.
        result.verdicts.append(verdict)
    return result
