"""(j) The first sync to a real Nextcloud, beside the bulk requests that it is made of."""

from __future__ import annotations

import shutil

from bench import clients
from bench.results import Result, Verdict
from bench.servers import NAMED_CLOUD, cloud_missing, folder_at, named_cloud
from bench.setting import Setting, sync
from bench.trees import plant

SECONDS, CPU = "seconds", "processor time"
_CONNECTIONS = (1, 2, 4)
_SHARE = 0.85


def measure(setting: Setting) -> Result:
    """Measure ours, rclone and bare bulk requests on the Nextcloud that the environment names."""
    tree = setting.scale.cloud
    about = (
        f"{tree}. Bare bulk requests have 50 files or 8 MB each, as ours; the folders are made "
        "before, one after the other."
    )
    reason = cloud_missing()
    if reason:
        about = f"Not measured in this run: {reason}."
    result = Result("cloud_bulk", "First sync to a real Nextcloud", about)
    if reason:
        setting.say(f"  without it: {reason}")
        return result
    source = setting.path("source")
    plant(source, tree)
    bulk = [clients.bare_bulk_client(number) for number in _CONNECTIONS]
    with named_cloud() as server:
        for _ in range(setting.scale.rounds):
            for client in [clients.ours(), *clients.rclones(), *bulk]:
                with folder_at(NAMED_CLOUD, server) as target:
                    command = client.sync(source, target, setting.path("journal"))
                    ended = sync(command, source, target.root)
                result.add(NAMED_CLOUD.title, client.name, SECONDS, "s", ended.seconds)
                result.add(NAMED_CLOUD.title, client.name, CPU, "s", ended.cpu_seconds)
    shutil.rmtree(source)
    _judge(result, [client.name for client in bulk])
    return result


def _judge(result: Result, bulk: list[str]) -> None:
    title = NAMED_CLOUD.title
    ours = result.median(title, clients.OURS, SECONDS)
    for names, share, target in (
        (bulk, _SHARE, "0.85 times the bare bulk requests with their serial MKCOLs"),
        ([c.name for c in clients.rclones()], 0.5, "at least twice as fast as rclone"),
    ):
        best = result.best(title, names, SECONDS)
        if best is None:
            continue
        measured = f"{ours:.2f} s beside {best[1]:.2f} s ({best[0]}): {ours / best[1]:.2f} times"
        result.verdicts.append(Verdict(target, title, measured, ours <= share * best[1]))
