"""How a go.mod of Kubernetes becomes one that stands by itself."""

from tests.kubernetes.binaries import STAGING, by_version


def test_modules_that_kubernetes_has_in_folders_are_taken_by_their_version() -> None:
    text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\texample.org/a => example.org/b v1.0.0\n)\n"
    assert by_version(text) == (
        f"replace (\n\tk8s.io/api => k8s.io/api {STAGING}\n\texample.org/a => example.org/b v1.0.0\n)\n"
    )
