"""Every rendered object keeps the rules, and each rule can fail."""

from __future__ import annotations

import copy
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.deploy import policy
from tests.deploy.manifests import CHART_VALUES, OVERLAYS, helm, missing, pods, rendered, values_of

from paperfleet.fleet import launcher
from paperfleet.fleet.roles import ROLES
from paperfleet.fleet.site import site_of
from paperfleet.paperless import config as config_of_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deploy.manifests import Object, Objects

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
NAMES = [
    "kustomize base",
    *(f"{program} {name}" for name in OVERLAYS for program in ("kustomize", "helm")),
    *(f"helm {path.name}" for path in CHART_VALUES),
]


def test_all_renderings_are_looked_at() -> None:
    assert set(NAMES) == set(rendered())
    assert {"s3", "shared-volume", "nextcloud-mirror", "backup", "keda", "hpa"} <= set(OVERLAYS)


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_are_kept(name: str) -> None:
    assert policy.faults(rendered()[name]) == {}


def test_every_role_has_a_manifest() -> None:
    assert {pod.role for pod in pods()} == set(ROLES)


def test_another_release_in_the_cluster_has_names_of_its_own() -> None:
    first, second = helm(*values_of("keda")), helm(*values_of("keda"), release="letters")
    assert policy.faults(second) == {}
    assert not {key for key in first if not key.startswith("Job/")} & second.keys()
    assert {item["metadata"]["name"].partition("-paperfleet")[0] for item in second.values()} == {
        "letters"
    }


def test_a_job_is_another_one_when_its_pod_changes(tmp_path: Path) -> None:
    image = tmp_path / "values.yaml"
    image.write_text("image: {tag: '9.9.9'}\n")
    older, newer = helm(*values_of("s3")), helm(*values_of("s3"), image)
    names = [{key for key in one if key.startswith("Job/")} for one in (older, newer)]
    assert not names[0] & names[1]
    assert names[0] < older.keys()


SECRETS = {
    "PAPERLESS_SECRET_KEY": "a key",
    "PAPERLESS_DBPASS": "a password",
    "PAPERFLEET_PASSWORD": "a password",
    "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": '{"access_key": "a key", "secret_key": "a secret"}',
}


def test_the_launcher_takes_the_environment_of_every_pod(tmp_path: Path) -> None:
    (tmp_path / "manage.py").touch()
    place = {"PAPERLESS_SRC": str(tmp_path), "PAPERLESS_REDIS": "redis://redis:6379"}
    for pod in pods():
        said = launcher.shown(pod.role, place | SECRETS | pod.environ)
        assert said[-1].startswith(("becomes:", "lease:")), pod


def test_the_app_takes_the_storage_of_every_pod() -> None:
    for pod in pods():
        fleet = policy.is_fleet(pod.objects)
        options = {} if fleet else {"PAPERLESS_DOCUMENT_STORAGE_OPTIONS": ""}
        found = config_of_app.read(SECRETS | pod.environ | options)
        assert found.settings.fleet == found.is_shared == fleet
        if fleet:
            found.open()


SRC = os.environ.get("PAPERLESS_SRC")


@pytest.mark.skipif(not SRC, reason="PAPERLESS_SRC names no checkout of paperless-ngx")
def test_paperless_ngx_reads_the_variables_that_are_not_ours() -> None:
    src = site_of({"PAPERLESS_SRC": str(SRC)}).src
    read: set[str] = set()
    for path in (*src.glob("paperless/**/*.py"), *src.glob("documents/**/*.py")):
        read |= set(re.findall(r"\"(PAPERLESS_[A-Z_]+)\"", path.read_text("utf-8")))
    names = {name for pod in pods() for name in pod.environ if name.startswith("PAPERLESS_")}
    ours = {row.variable for table in policy._tables() for row in table.values()}
    assert len(read) > 100
    assert names - read - ours == set()


def deployment(objects: Objects, role: str) -> Object:
    found: Object = objects[f"Deployment/paperfleet-{role}"]["spec"]
    return found


def pod(objects: Objects, role: str) -> Object:
    found: Object = deployment(objects, role)["template"]["spec"]
    return found


def claim(objects: Objects) -> Object:
    return next(one for key, one in objects.items() if key.startswith("PersistentVolumeClaim/"))


def container(objects: Objects, role: str) -> Object:
    found: Object = pod(objects, role)["containers"][0]
    return found


def config(objects: Objects) -> dict[str, str]:
    return policy.settings(objects)


def scaled(objects: Objects) -> Object:
    found: Object = objects["ScaledObject/paperfleet-worker"]["spec"]
    return found


def add(objects: Objects, item: dict[str, Any]) -> None:
    objects[f"{item['kind']}/{item['metadata']['name']}"] = item


def job(objects: Objects) -> Object:
    (item,) = policy.of_kind(objects, "Job")
    found: Object = item["spec"]
    return found


KEDA, MIRROR, SHARED = "helm keda", "helm nextcloud-mirror", "helm shared-volume"
BACKUP = "helm backup"
HOST_PATH = {"name": "more", "hostPath": {"path": "/"}}
DENIED = "NetworkPolicy/paperfleet-deny"
CLAIM = {"claimName": "paperfleet-data"}
MUTATIONS: list[tuple[str, str, Callable[[Objects], Any]]] = [
    ("nobody_is_root", KEDA, lambda o: pod(o, "web")["securityContext"].update(runAsUser=0)),
    ("nobody_is_root", KEDA, lambda o: pod(o, "web")["securityContext"].pop("runAsNonRoot")),
    ("nobody_is_root", KEDA, lambda o: pod(o, "web")["securityContext"].pop("seccompProfile")),
    ("nobody_is_root", KEDA, lambda o: pod(o, "web").update(hostNetwork=True)),
    (
        "containers_can_do_little",
        KEDA,
        lambda o: container(o, "worker")["securityContext"].update(privileged=True),
    ),
    (
        "containers_can_do_little",
        KEDA,
        lambda o: container(o, "worker")["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    (
        "containers_can_do_little",
        KEDA,
        lambda o: container(o, "worker")["securityContext"]["capabilities"].update(add=["NET_RAW"]),
    ),
    (
        "containers_have_requests_and_limits",
        KEDA,
        lambda o: container(o, "web")["resources"]["limits"].pop("memory"),
    ),
    (
        "images_have_a_version",
        KEDA,
        lambda o: container(o, "web").update(image="registry.example:5000/paperless"),
    ),
    ("images_have_a_version", KEDA, lambda o: container(o, "web").update(image="paperless:latest")),
    (
        "each_pod_is_a_role_of_the_table",
        KEDA,
        lambda o: container(o, "web").update(command=["paperfleet", "run", "worker"]),
    ),
    (
        "each_pod_is_a_role_of_the_table",
        KEDA,
        lambda o: container(o, "web").update(args=["--print"]),
    ),
    ("each_pod_is_a_role_of_the_table", KEDA, lambda o: o.pop("Deployment/paperfleet-scheduler")),
    ("roles_are_probed", KEDA, lambda o: container(o, "scheduler").pop("livenessProbe")),
    (
        "roles_are_probed",
        KEDA,
        lambda o: container(o, "worker")["readinessProbe"].update(timeoutSeconds=1),
    ),
    ("nothing_of_the_cluster_is_in_a_pod", KEDA, lambda o: pod(o, "web").pop("enableServiceLinks")),
    (
        "nothing_of_the_cluster_is_in_a_pod",
        KEDA,
        lambda o: pod(o, "web").pop("automountServiceAccountToken"),
    ),
    (
        "nothing_of_the_cluster_is_in_a_pod",
        KEDA,
        lambda o: o["ServiceAccount/paperfleet"].pop("automountServiceAccountToken"),
    ),
    (
        "a_worker_may_end_its_task",
        KEDA,
        lambda o: config(o).update(PAPERLESS_WORKER_TIMEOUT="3600"),
    ),
    (
        "a_worker_may_end_its_task",
        KEDA,
        lambda o: pod(o, "worker").pop("terminationGracePeriodSeconds"),
    ),
    (
        "a_worker_may_end_its_task",
        KEDA,
        lambda o: deployment(o, "worker")["template"]["metadata"]["annotations"].pop(policy.EVICT),
    ),
    ("a_worker_may_end_its_task", KEDA, lambda o: container(o, "web").pop("lifecycle")),
    ("folders_are_of_their_pod", KEDA, lambda o: pod(o, "web")["volumes"].append(HOST_PATH)),
    (
        "folders_are_of_their_pod",
        KEDA,
        lambda o: pod(o, "web")["volumes"][0]["emptyDir"].pop("sizeLimit"),
    ),
    (
        "folders_are_of_their_pod",
        KEDA,
        lambda o: pod(o, "web")["volumes"].__setitem__(
            0, {"name": "data", "persistentVolumeClaim": CLAIM}
        ),
    ),
    (
        "all_pods_share_four_folders_or_none",
        SHARED,
        lambda o: pod(o, "web")["volumes"].__setitem__(
            0, {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}
        ),
    ),
    (
        "all_pods_share_four_folders_or_none",
        SHARED,
        lambda o: pod(o, "web")["volumes"][0]["persistentVolumeClaim"].update(claimName="another"),
    ),
    (
        "a_disk_of_one_pod_is_let_go_before_the_next",
        MIRROR,
        lambda o: deployment(o, "mirror").update(strategy={"type": "RollingUpdate"}),
    ),
    (
        "a_job_at_a_time_is_alone",
        BACKUP,
        lambda o: o["CronJob/paperfleet-backup"]["spec"].update(concurrencyPolicy="Allow"),
    ),
    (
        "documents_outlive_the_release",
        MIRROR,
        lambda o: claim(o)["metadata"]["annotations"].pop("helm.sh/resource-policy"),
    ),
    (
        "folders_that_are_written_are_mounted",
        KEDA,
        lambda o: container(o, "web")["volumeMounts"].pop(),
    ),
    (
        "folders_that_are_written_are_mounted",
        KEDA,
        lambda o: config(o).update(PAPERLESS_DATA_DIR="/elsewhere"),
    ),
    ("local_copies_fit", KEDA, lambda o: config(o).update(PAPERFLEET_CACHE_MB="9000")),
    ("secrets_are_references", KEDA, lambda o: config(o).update(PAPERLESS_DBPASS="swordfish")),
    (
        "secrets_are_references",
        KEDA,
        lambda o: config(o).update(PAPERLESS_REDIS="redis://:swordfish@redis"),
    ),
    ("secrets_are_references", KEDA, lambda o: container(o, "web")["envFrom"].pop()),
    ("settings_are_settings", KEDA, lambda o: config(o).update(PAPERFLEET_FLEETS="true")),
    ("settings_are_settings", KEDA, lambda o: config(o).update(PAPERFLEET_OUTAGE_SECONDS="many")),
    (
        "selectors_find_their_pods",
        KEDA,
        lambda o: o["Service/paperfleet-web"]["spec"]["selector"].update(a="b"),
    ),
    (
        "selectors_find_their_pods",
        KEDA,
        lambda o: deployment(o, "web")["selector"]["matchLabels"].pop(
            "app.kubernetes.io/component"
        ),
    ),
    ("deployments_survive_a_node", KEDA, lambda o: o.pop("PodDisruptionBudget/paperfleet-web")),
    ("deployments_survive_a_node", KEDA, lambda o: pod(o, "web").pop("topologySpreadConstraints")),
    (
        "one_decides_how_many_workers_there_are",
        KEDA,
        lambda o: deployment(o, "worker").update(replicas=2),
    ),
    (
        "one_decides_how_many_workers_there_are",
        KEDA,
        lambda o: add(o, rendered()["helm hpa"]["HorizontalPodAutoscaler/paperfleet-worker"]),
    ),
    (
        "keda_asks_for_the_work_of_one_worker",
        KEDA,
        lambda o: config(o).update(PAPERLESS_TASK_WORKERS="2"),
    ),
    (
        "keda_asks_for_the_work_of_one_worker",
        KEDA,
        lambda o: scaled(o)["triggers"][0]["metadata"].update(
            url="http://paperfleet-metrics.default.svc.cluster.local:9464/metrics"
        ),
    ),
    (
        "keda_asks_for_the_work_of_one_worker",
        "helm everything-values.yaml",
        lambda o: scaled(o)["triggers"][0].pop("authenticationRef"),
    ),
    ("the_network_is_closed", KEDA, lambda o: o.pop(DENIED)),
    ("the_network_is_closed", KEDA, lambda o: o[DENIED]["spec"].update(egress=[{}])),
    (
        "the_network_is_closed",
        KEDA,
        lambda o: o[DENIED]["spec"]["podSelector"]["matchLabels"].update(a="b"),
    ),
    (
        "all_pods_share_four_folders_or_none",
        MIRROR,
        lambda o: pod(o, "web")["volumes"].append(pod(o, "mirror")["volumes"][-1]),
    ),
    (
        "what_the_network_allows_has_bounds",
        KEDA,
        lambda o: o["NetworkPolicy/paperfleet-metrics"]["spec"]["ingress"][0].pop("from"),
    ),
    (
        "what_the_network_allows_has_bounds",
        KEDA,
        lambda o: o["NetworkPolicy/paperfleet-to-storage"]["spec"]["egress"][0].pop("ports"),
    ),
    (
        "what_the_network_allows_has_bounds",
        KEDA,
        lambda o: o["NetworkPolicy/paperfleet-metrics"]["spec"]["podSelector"]["matchLabels"].pop(
            "app.kubernetes.io/component"
        ),
    ),
    (
        "services_lead_to_ports",
        KEDA,
        lambda o: o["Service/paperfleet-web"]["spec"].update(type="NodePort"),
    ),
    ("services_lead_to_ports", KEDA, lambda o: container(o, "web")["ports"].pop()),
    (
        "services_lead_to_ports",
        KEDA,
        lambda o: o["Ingress/paperfleet-web"]["spec"]["rules"][0]["http"]["paths"][0]["backend"][
            "service"
        ].update(name="paperfleet-metrics", port={"name": "metrics"}),
    ),
    (
        "uploads_may_be_large",
        KEDA,
        lambda o: o["Ingress/paperfleet-web"]["metadata"]["annotations"].pop(
            "nginx.org/client-max-body-size"
        ),
    ),
    ("a_job_goes_when_it_has_ended", KEDA, lambda o: job(o).pop("ttlSecondsAfterFinished")),
    (
        "objects_say_what_they_are",
        KEDA,
        lambda o: o["Service/paperfleet-web"]["metadata"]["annotations"].clear(),
    ),
    (
        "objects_say_what_they_are",
        KEDA,
        lambda o: o["Service/paperfleet-web"]["metadata"].pop("namespace"),
    ),
    (
        "nothing_else_is_asked_of_the_cluster",
        KEDA,
        lambda o: add(
            o,
            {
                "kind": "ClusterRole",
                "metadata": {
                    "name": "all",
                    "namespace": "paperless",
                    "annotations": {"kubernetes.io/description": "all"},
                },
            },
        ),
    ),
]


@pytest.mark.parametrize(("rule", "name", "change"), MUTATIONS)
def test_a_rule_finds_what_it_is_about(
    rule: str, name: str, change: Callable[[Objects], Any]
) -> None:
    objects = copy.deepcopy(rendered()[name])
    change(objects)
    assert rule in policy.faults(objects)


def test_every_rule_was_seen_to_fail() -> None:
    assert {rule for rule, *_ in MUTATIONS} == {one.__name__ for one in policy.RULES}
