from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from deploy.signing import Signer
from ingest.sns.certificates import rsa_key
from tests.ingest.support import SnsStandIn


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pinned certificates; it holds the signer's."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="session")
def signer(certificates: Path) -> Signer:
    """Signs envelopes; its certificate is pinned."""
    return Signer.create(certificates)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Signs envelopes; its certificate is not pinned."""
    return Signer.create(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def sns_stand_in() -> Iterator[SnsStandIn]:
    """A server on loopback to which calls to SNS are led."""
    with SnsStandIn() as server:
        yield server


@pytest.fixture(scope="session")
def key(certificates: Path, signer: Signer) -> RSAPublicKey:
    """The signer's public key, from its certificate."""
    return rsa_key((certificates / signer.certificate_name).read_bytes())
