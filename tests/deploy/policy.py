"""What every manifest keeps: a rule a function, which gives what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.deploy.manifests import NAMESPACE, Object, Objects, Pod, template_of

from paperfleet.errors import ConfigurationError
from paperfleet.fleet.roles import ROLES
from paperfleet.fleet.site import FOLDERS
from paperfleet.settings import app, backup, fleet, mirror, options
from paperfleet.settings.environment import mistake, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.settings.table import Setting

    Rule = Callable[[Objects], Iterator[str]]

RULES: Final[list[Rule]] = []
EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SHARED: Final = {"data", "media", "consume", "scratch"}
_SECRET_NAME: Final = re.compile(r"PASS(WORD)?$|DBPASS|SECRET|TOKEN|_KEY$|STORAGE_OPTIONS$")
_UNITS: Final = {"Mi": 2**20, "Gi": 2**30}


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def faults(objects: Objects) -> dict[str, list[str]]:
    """Return what is wrong by the rule that finds it."""
    found = {one.__name__: list(one(objects)) for one in RULES}
    return {name: said for name, said in found.items() if said}


def of_kind(objects: Objects, *kinds: str) -> list[dict[str, Any]]:
    return [item for item in objects.values() if item["kind"] in kinds]


def pods_of(objects: Objects) -> list[Pod]:
    made = ((key, template_of(item)) for key, item in objects.items())
    return [Pod("", key, template, objects) for key, template in made if template]


def containers(objects: Objects) -> Iterator[tuple[Pod, dict[str, Any]]]:
    for pod in pods_of(objects):
        for container in (*pod.spec.get("initContainers", ()), *pod.spec["containers"]):
            yield pod, container


def sources(item: Object) -> list[dict[str, Any]]:
    """Return where the containers of an object have their variables from."""
    spec = (template_of(item) or {}).get("spec", {"containers": []})
    return [one for container in spec["containers"] for one in container["envFrom"]]


def settings(objects: Objects) -> dict[str, str]:
    (item,) = of_kind(objects, "ConfigMap")
    data: dict[str, str] = item["data"]
    return data


def is_fleet(objects: Objects) -> bool:
    return settings(objects)["PAPERFLEET_FLEET"] == "true"


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@rule
def nobody_is_root(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        context = pod.spec["securityContext"]
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 1) == 0:
            yield f"{pod.owner} may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.owner} has no seccomp profile"
        if any(pod.spec.get(f"host{name}") for name in ("Network", "PID", "IPC")):
            yield f"{pod.owner} uses the host's"


@rule
def containers_can_do_little(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        if container.get("securityContext") != {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }:
            yield f"{pod.owner}: {container.get('securityContext')}"


@rule
def containers_have_requests_and_limits(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        for kind in ("requests", "limits"):
            if set(container["resources"].get(kind, ())) != {"cpu", "memory"}:
                yield f"{pod.owner} has not all {kind}"


@rule
def images_have_a_version(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        _, _, version = container["image"].rpartition("/")[2].partition(":")
        if not version or version == "latest":
            yield f"{pod.owner}: {container['image']}"


@rule
def each_pod_is_a_role_of_the_table(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        (container,) = pod.spec["containers"]
        if pod.role not in ROLES or container["command"] != ["paperfleet", "run", pod.role]:
            yield f"{pod.owner} runs {container['command']}"
        if "args" in container:
            yield f"{pod.owner} has arguments"
        if (pod.owner.partition("/")[0] in {"Job", "CronJob"}) != ROLES[pod.role].ends:
            yield f"{pod.owner}: a role that ends is a Job, and no other one"
    always = {"web", "worker", "scheduler", "consumer"}
    if not always <= {pod.role for pod in pods_of(objects)}:
        yield "a role is missing"


@rule
def roles_are_probed(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        if ROLES[pod.role].ends:
            continue
        (container,) = pod.spec["containers"]
        for probe, question in (
            ("startup", "alive"),
            ("liveness", "alive"),
            ("readiness", "ready"),
        ):
            found = container.get(f"{probe}Probe", {})
            command = ["paperfleet", "run", pod.role, "--check", question]
            if found.get("exec", {}).get("command") != command:
                yield f"{pod.owner} has no {probe} probe"
            elif found["timeoutSeconds"] < 10:  # each starts a Python, beside OCR
                yield f"{pod.owner}: the {probe} probe has too little time"


@rule
def nothing_of_the_cluster_is_in_a_pod(objects: Objects) -> Iterator[str]:
    (account,) = of_kind(objects, "ServiceAccount")
    if account.get("automountServiceAccountToken") is not False:
        yield "the service account gives its token"
    for pod in pods_of(objects):
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.owner} has the variables of Services"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.owner} has a token"
        if pod.spec["serviceAccountName"] != account["metadata"]["name"]:
            yield f"{pod.owner} is another account"


@rule
def a_worker_may_end_its_task(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        if pod.role == "worker":
            if grace < int(pod.environ["PAPERLESS_WORKER_TIMEOUT"]) + 60:
                yield f"{pod.owner} is killed after {grace} s"
            if pod.template["metadata"]["annotations"].get(EVICT) != "false":
                yield f"{pod.owner} may be evicted by an autoscaler of nodes"
        if pod.role == "web":
            hook = pod.spec["containers"][0].get("lifecycle", {}).get("preStop", {})
            pause = hook.get("sleep", {}).get("seconds", 0)
            if not 5 <= pause <= grace - 30:
                yield f"{pod.owner} ends before it is out of the Service"


@rule
def folders_are_of_their_pod(objects: Objects) -> Iterator[str]:
    own = {("mirror", "journal"), ("consumer", "consume"), ("backup", "backup")}
    for pod in pods_of(objects):
        for volume in pod.spec["volumes"]:
            name, (kind,) = volume["name"], volume.keys() - {"name"}
            if kind not in {"emptyDir", "persistentVolumeClaim", "secret", "configMap"}:
                yield f"{pod.owner}, {name}: {kind}"
            if kind == "emptyDir" and "sizeLimit" not in volume[kind]:
                yield f"{pod.owner}, {name}: without a limit"
            if "claimName" in volume[kind] and is_fleet(objects) and (pod.role, name) not in own:
                yield f"{pod.owner}, {name}: a fleet shares no folder"


@rule
def all_pods_share_four_folders_or_none(objects: Objects) -> Iterator[str]:
    pods = pods_of(objects)
    users: dict[tuple[str, str], int] = {}
    for pod in pods:
        for volume in pod.spec["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim:
                users[volume["name"], claim] = users.get((volume["name"], claim), 0) + 1
    shared = {use: count for use, count in users.items() if count > 1}
    if is_fleet(objects) and shared:
        yield f"{shared} are shared in a fleet"
    if not is_fleet(objects):
        names = {name for (name, _), count in shared.items() if count == len(pods)}
        if names != SHARED or len(shared) != len(SHARED):
            yield f"all pods share {sorted(names)}, and not {sorted(SHARED)}"


@rule
def a_disk_of_one_pod_is_let_go_before_the_next(objects: Objects) -> Iterator[str]:
    for claim in of_kind(objects, "PersistentVolumeClaim"):
        if claim["spec"]["accessModes"] == ["ReadWriteMany"]:
            continue
        for item in of_kind(objects, "Deployment"):
            volumes = item["spec"]["template"]["spec"]["volumes"]
            names = [one.get("persistentVolumeClaim", {}).get("claimName") for one in volumes]
            if claim["metadata"]["name"] in names and (
                item["spec"]["replicas"] != 1 or item["spec"]["strategy"]["type"] != "Recreate"
            ):
                yield f"{item['metadata']['name']} may have it twice"


@rule
def a_job_at_a_time_is_alone(objects: Objects) -> Iterator[str]:
    for item in of_kind(objects, "CronJob"):
        if item["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"{item['metadata']['name']} may have its disk twice"


@rule
def documents_outlive_the_release(objects: Objects) -> Iterator[str]:
    for claim in of_kind(objects, "PersistentVolumeClaim"):
        if claim["metadata"]["annotations"].get("helm.sh/resource-policy") != "keep":
            yield f"`helm uninstall` removes the disk {claim['metadata']['name']}"


@rule
def folders_that_are_written_are_mounted(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        (container,) = pod.spec["containers"]
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        wanted = {pod.environ[folder.variable] for folder in FOLDERS} | {"/tmp"}  # noqa: S108
        if not wanted <= mounts.keys():
            yield f"{pod.owner}: {sorted(wanted - mounts.keys())} cannot be written"
        if set(mounts.values()) != {volume["name"] for volume in pod.spec["volumes"]}:
            yield f"{pod.owner}: volumes and mounts differ"


@rule
def local_copies_fit(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        copies = int(pod.environ.get("PAPERFLEET_CACHE_MB") or app.table()["cache_mb"].default)  # type: ignore[call-overload]
        for volume in pod.spec["volumes"]:
            if volume["name"] == "scratch" and (
                limit := volume.get("emptyDir", {}).get("sizeLimit")
            ):
                number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", limit).groups()  # type: ignore[union-attr]
                if int(number) * _UNITS[unit] < copies * 1_000_000 * 2:
                    yield f"{pod.owner}: {limit} for copies of {copies} MB, and what is worked on"


@rule
def secrets_are_references(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        for name, value in pod.environ.items():
            if value and (name in _secret_variables() or _SECRET_NAME.search(name)):
                yield f"{pod.owner}: {name} stands there"
            if re.search(r"://[^/@]*:[^/@]*@", value):
                yield f"{pod.owner}: the password in {name} stands there"
        sources = pod.spec["containers"][0]["envFrom"]
        if not any("secretRef" in one for one in sources):
            yield f"{pod.owner} has no secret"


def _tables() -> list[dict[str, Setting]]:
    return [mirror.table(), options.table(), app.table(), fleet.table(), backup.table()]


def _secret_variables() -> set[str]:
    rows = (row for table in _tables() for row in table.values())
    return {row.variable for row in rows if row.secret}


@rule
def settings_are_settings(objects: Objects) -> Iterator[str]:
    for pod in pods_of(objects):
        if error := mistake(pod.environ):
            yield f"{pod.owner}: {error.message}"
        for table in _tables():
            try:
                values_of(table, pod.environ)
            except ConfigurationError as error:
                yield f"{pod.owner}: {error.message}"


@rule
def selectors_find_their_pods(objects: Objects) -> Iterator[str]:
    labels = [pod.template["metadata"]["labels"] for pod in pods_of(objects)]
    for key, item in objects.items():
        if item["kind"] == "Deployment":
            own = item["spec"]["template"]["metadata"]["labels"]
            if not matches(item["spec"]["selector"]["matchLabels"], own):
                yield f"{key} does not find its pods"
            if sum(matches(item["spec"]["selector"]["matchLabels"], one) for one in labels) != 1:
                yield f"{key} finds pods of others"
        selector = {
            "Service": item.get("spec", {}).get("selector"),
            "NetworkPolicy": item.get("spec", {}).get("podSelector", {}).get("matchLabels"),
            "PodDisruptionBudget": (item.get("spec", {}).get("selector") or {}).get("matchLabels"),
        }.get(item["kind"], labels[0])
        if not selector or not any(matches(selector, one) for one in labels):
            yield f"{key} finds no pod"


@rule
def deployments_survive_a_node(objects: Objects) -> Iterator[str]:
    budgets = of_kind(objects, "PodDisruptionBudget")
    for item in of_kind(objects, "Deployment"):
        labels = item["spec"]["template"]["metadata"]["labels"]
        name = item["metadata"]["name"]
        if not item["spec"]["template"]["spec"].get("topologySpreadConstraints"):
            yield f"{name} is not spread"
        if item["spec"]["strategy"]["type"] == "Recreate":
            continue  # one alone
        found = [one for one in budgets if matches(one["spec"]["selector"]["matchLabels"], labels)]
        if [one["spec"].get("maxUnavailable") for one in found] != [1]:
            yield f"{name} has not the one budget, of 1"


@rule
def one_decides_how_many_workers_there_are(objects: Objects) -> Iterator[str]:
    scalers = of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
    if len(scalers) > 1:
        yield "two scale"
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in scalers}
    names = {item["metadata"]["name"] for item in of_kind(objects, "Deployment")}
    if not scaled <= names:
        yield f"{scaled - names} is nowhere"
    for item in of_kind(objects, "Deployment"):
        if ("replicas" in item["spec"]) == (item["metadata"]["name"] in scaled):
            yield f"{item['metadata']['name']}: who says how many?"


@rule
def keda_asks_for_the_work_of_one_worker(objects: Objects) -> Iterator[str]:
    tasks = settings(objects)["PAPERLESS_TASK_WORKERS"]
    services = {item["metadata"]["name"]: item for item in of_kind(objects, "Service")}
    for item in of_kind(objects, "ScaledObject"):
        for trigger in item["spec"]["triggers"]:
            about = trigger["metadata"]
            if trigger["type"] == "cron":
                continue
            if {about.get("targetValue"), about.get("targetQueryValue")} != {None, tasks}:
                yield f"a worker has {tasks} tasks"
            if trigger["type"] == "metrics-api":
                found = re.fullmatch(
                    r"http://([a-z-]+)\.([a-z-]+)\.svc\.cluster\.local:(\d+)/metrics", about["url"]
                )
                name, namespace, port = found.groups() if found else ("", "", "0")
                ports = [
                    one["port"]
                    for one in services.get(name, {"spec": {"ports": []}})["spec"]["ports"]
                ]
                if int(port) not in ports or namespace != item["metadata"]["namespace"]:
                    yield f"nobody answers at {about['url']}"
            elif "authenticationRef" not in trigger:
                yield "KEDA has no password"


@rule
def the_network_is_closed(objects: Objects) -> Iterator[str]:
    policies = of_kind(objects, "NetworkPolicy")
    if not policies:
        return  # switched off
    closed = [one for one in policies if one["spec"]["policyTypes"] == ["Ingress", "Egress"]]
    if len(closed) != 1 or {"ingress", "egress"} & closed[0]["spec"].keys():
        yield "not one policy denies all"
        return
    for pod in pods_of(objects):
        if not concerns(closed[0], pod):
            yield f"{pod.owner} is open"


@rule
def what_the_network_allows_has_bounds(objects: Objects) -> Iterator[str]:
    for policy in of_kind(objects, "NetworkPolicy"):
        name, spec = policy["metadata"]["name"], policy["spec"]
        if not all(way.get("ports") for way in spec.get("egress", ())):
            yield f"{name} allows every port"
        if not all(way.get("ports") and way.get("from") for way in spec.get("ingress", ())):
            yield f"{name} lets anybody in"
        reached = {pod.role for pod in pods_of(objects) if concerns(policy, pod)}
        if "ingress" in spec and reached != {"web"}:
            yield f"{name} opens {sorted(reached)}"


def concerns(policy: Object, pod: Pod) -> bool:
    selector = policy["spec"]["podSelector"]["matchLabels"]
    return matches(selector, pod.template["metadata"]["labels"])


@rule
def services_lead_to_ports(objects: Objects) -> Iterator[str]:
    services = {item["metadata"]["name"]: item for item in of_kind(objects, "Service")}
    for name, item in services.items():
        for pod in pods_of(objects):
            if matches(item["spec"]["selector"], pod.template["metadata"]["labels"]):
                ports = {one["name"] for one in pod.spec["containers"][0].get("ports", ())}
                if not {one["targetPort"] for one in item["spec"]["ports"]} <= ports:
                    yield f"{name} leads nowhere"
        if item["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{name} is open to the outside"
    for item in of_kind(objects, "Ingress"):
        for entry in item["spec"]["rules"]:
            for path in entry["http"]["paths"]:
                service = path["backend"]["service"]
                ports = services.get(service["name"], {"spec": {"ports": []}})["spec"]["ports"]
                found = [
                    one["targetPort"] for one in ports if one["name"] == service["port"]["name"]
                ]
                if found != ["http"]:
                    yield f"the Ingress leads to {service}"


@rule
def uploads_may_be_large(objects: Objects) -> Iterator[str]:
    for item in of_kind(objects, "Ingress"):
        found = item["metadata"]["annotations"]
        for name in (
            "nginx.ingress.kubernetes.io/proxy-body-size",
            "nginx.org/client-max-body-size",
        ):
            if not re.fullmatch(r"\d+[mg]", found.get(name, "")):
                yield f"the Ingress does not say {name}"


@rule
def a_job_goes_when_it_has_ended(objects: Objects) -> Iterator[str]:
    for item in of_kind(objects, "Job"):
        if not 0 <= item["spec"].get("ttlSecondsAfterFinished", -1) <= 3600:
            yield f"{item['metadata']['name']} stays, and cannot be changed"


@rule
def objects_say_what_they_are(objects: Objects) -> Iterator[str]:
    for key, item in objects.items():
        if not item["metadata"]["annotations"].get("kubernetes.io/description"):
            yield f"{key} does not say what it is for"
        if item["metadata"].get("namespace") != NAMESPACE:
            yield f"{key} is in the namespace {item['metadata'].get('namespace')}"


@rule
def nothing_else_is_asked_of_the_cluster(objects: Objects) -> Iterator[str]:
    known = {
        "ConfigMap", "CronJob", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job",
        "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "ScaledObject", "Secret",
        "Service", "ServiceAccount", "ServiceMonitor", "TriggerAuthentication",
    }  # fmt: skip
    for key, item in objects.items():
        if item["kind"] not in known:
            yield f"{key} is of a kind that no rule looks at"
