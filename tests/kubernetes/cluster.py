"""A kube-apiserver with its etcd, on this machine's loopback and gone afterwards; and how to speak to it."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.processes import Child, Waiting, free_port
from tests.authority import Authority
from tests.deploy.chart.rendering import Manifest
from tests.kubernetes import binaries

HOST: Final = "127.0.0.1"
TOKEN: Final = "admin"  # of a cluster that lives for a minute
START_S: Final = 180.0
RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


class RefusedError(Exception):
    """Kubernetes takes a manifest not, or not without a warning; the text says which and why."""


class Cluster:
    """Speaks to the API of Kubernetes."""

    def __init__(self, url: str, ca: Path) -> None:
        """Prepare. url: of the API. ca: that it is known by."""
        context = ssl.create_default_context(cafile=str(ca))
        self._client = httpx.Client(
            base_url=url,
            verify=context,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=30,
        )
        self._paths = cache(self._path_of_kind)

    def ready(self) -> bool:
        """Whether it answers and all of its parts are up."""
        try:
            return self._client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def make_namespace(self, name: str) -> None:
        """Make a namespace in which PodSecurity enforces `restricted`, with the account that each one has."""
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        )
        self.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        )

    def apply(
        self, manifest: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> Manifest:
        """Apply on the server's side, with strict fields.

        namespace: where it goes, if it does not say so itself. dry_run: nothing is kept of it.
        Returns: what the server has now. Raises: RefusedError.
        """
        asked = {"fieldManager": "ses-metrics", "fieldValidation": "Strict", "force": "true"}
        return self._answered(
            manifest,
            self._client.patch(
                f"{self._place(manifest, namespace)}/{manifest['metadata']['name']}",
                params=asked | ({"dryRun": "All"} if dry_run else {}),
                headers={"Content-Type": "application/apply-patch+yaml"},
                content=json.dumps(manifest),
            ),
        )

    def try_pod(self, manifest: Mapping[str, Any], namespace: str) -> None:
        """Have a pod of such a template admitted and validated, and not made. Raises: RefusedError."""
        pod = {"apiVersion": "v1", "kind": "Pod", **manifest}
        pod["metadata"] = {**manifest["metadata"], "name": "one"}
        self._answered(
            pod,
            self._client.post(
                f"/api/v1/namespaces/{namespace}/pods",
                params={"dryRun": "All", "fieldValidation": "Strict"},
                json=pod,
            ),
        )

    def knows(self, api_version: str, *kinds: str) -> bool:
        """Whether it knows kinds of a group and version, as it does some moments after their definition."""
        answer = self._client.get(f"/apis/{api_version}")
        return answer.is_success and {each["kind"] for each in answer.json()["resources"]} >= {*kinds}

    def end_jobs(self, namespace: str, *, well: bool = True) -> int:
        """Say of each Job that goes on what its controller does when its pods have ended, well or not.

        Returns: of how many.
        """
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        going_on = [each for each in self._got(path)["items"] if not each["status"].get("conditions")]
        for each in going_on:
            self._answered(
                {"kind": "Job", **each},
                self._client.patch(
                    f"{path}/{each['metadata']['name']}/status",
                    headers={"Content-Type": "application/merge-patch+json"},
                    content=json.dumps({"status": _ended(datetime.now(UTC), well=well)}),
                ),
            )
        return len(going_on)

    def all_names(self, namespace: str) -> set[str]:
        """Everything that is in a namespace, as `Kind name`."""
        groups = [each["preferredVersion"]["groupVersion"] for each in self._got("/apis")["groups"]]
        roots = ["/api/v1", *(f"/apis/{each}" for each in groups)]
        return {
            f"{kind['kind']} {each['metadata']['name']}"
            for root in roots
            for kind in self._got(root)["resources"]
            if kind["namespaced"] and "list" in kind["verbs"]
            for each in self._got(f"{root}/namespaces/{namespace}/{kind['name']}")["items"]
        }

    def _got(self, path: str) -> Manifest:
        answer = self._client.get(path)
        if answer.is_error:
            raise RefusedError(f"{path}: {answer.text}")
        got: Manifest = answer.json()
        return got

    def _place(self, manifest: Mapping[str, Any], namespace: str | None) -> str:
        place = manifest["metadata"].get("namespace", namespace)
        return self._paths(manifest["apiVersion"], manifest["kind"]).format(namespace=place)

    def _path_of_kind(self, api_version: str, kind: str) -> str:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        answer = self._client.get(root)
        for each in answer.json()["resources"] if answer.is_success else ():
            if each["kind"] == kind and "/" not in each["name"]:
                return (
                    f"{root}/namespaces/{{namespace}}/{each['name']}"
                    if each["namespaced"]
                    else f"{root}/{each['name']}"
                )
        raise RefusedError(f"this Kubernetes knows no {kind} of {api_version}")

    @staticmethod
    def _answered(manifest: Mapping[str, Any], answer: httpx.Response) -> Manifest:
        which = f"{manifest['kind']} {manifest['metadata']['name']}"
        if answer.is_error:
            raise RefusedError(f"{which}: {answer.json().get('message', answer.text)}")
        if warnings := answer.headers.get_list("Warning"):
            raise RefusedError(f"{which}: {'; '.join(warnings)}")
        made: Manifest = answer.json()
        return made


def _ended(now: datetime, *, well: bool) -> Manifest:
    """The status of such a Job. Kubernetes refuses one that lacks any of this."""
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    kinds = ("SuccessCriteriaMet", "Complete") if well else ("FailureTarget", "Failed")
    reason = "CompletionsReached" if well else "BackoffLimitExceeded"
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": at} for kind in kinds
    ]
    ended = {"completionTime": at, "succeeded": 1} if well else {"failed": 1}
    return {"startTime": at, "conditions": conditions, **ended}


@contextmanager
def running(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """Start etcd and kube-apiserver; both end with the block.

    folder: for their files. Yields: how to speak to it, and a kubeconfig for others.
    Raises: golang.NoProgramError where they cannot be built, StackError where they do not start.
    """
    etcd_program, apiserver_program = binaries.etcd(), binaries.kube_apiserver()
    authority = Authority(folder / "authority")
    identity = authority.issue("apiserver", HOST)
    store, peer = (f"http://{HOST}:{free_port()}" for _ in range(2))
    port = free_port()
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    etcd = Child(
        "etcd",
        [
            etcd_program,
            *("--name", "one", "--data-dir", folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", store, "--advertise-client-urls", store),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"one={peer}"),
        ],
        folder / "etcd.log",
    )
    apiserver = Child(
        "kube-apiserver",
        [
            apiserver_program,
            *("--etcd-servers", store, "--bind-address", HOST, "--secure-port", str(port)),
            *("--tls-cert-file", identity.certificate, "--tls-private-key-file", identity.key),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-signing-key-file", identity.key),
            *("--service-account-key-file", identity.certificate),
            *("--token-auth-file", folder / "tokens.csv", "--authorization-mode", "RBAC"),
            *("--service-cluster-ip-range", "10.0.0.0/24", "--cert-dir", folder / "certificates"),
        ],
        folder / "kube-apiserver.log",
    )
    url = f"https://{HOST}:{port}"
    cluster = Cluster(url, authority.ca)
    try:
        etcd.start()
        apiserver.start()
        Waiting(limit_s=START_S).until(cluster.ready, apiserver)
        yield cluster, _kubeconfig(folder / "kubeconfig", url, authority.ca)
    finally:
        apiserver.stop()
        etcd.stop()


def _kubeconfig(path: Path, url: str, ca: Path) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "admin"}}],
    }
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path
