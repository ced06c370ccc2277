"""Logins and TLS as settings: what cannot be right is reported at the start, by the setting's name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from schemas.shared.settings import KafkaSettings, RedisSettings, Settings, complaint
from tests.authority import Authority, Identity

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Identity:
    return authority.issue("client")


def secure(authority: Authority, client: Identity) -> dict[str, str]:
    """Settings of a Kafka with login and TLS, and a certificate of our own."""
    return {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
        "kafka_sasl_username": "me",
        "kafka_sasl_password": PASSWORD,
        "kafka_ssl_ca_location": str(authority.ca),
        "kafka_ssl_certificate_location": str(client.certificate),
        "kafka_ssl_key_location": str(client.key),
    }


def test_both_kafka_clients_are_reported_the_same(authority: Authority, client: Identity) -> None:
    settings = KafkaSettings.model_validate(secure(authority, client))
    ours, theirs = settings.librdkafka(), settings.aiokafka()
    for one, other in (
        ("bootstrap.servers", "bootstrap_servers"),
        ("security.protocol", "security_protocol"),
        ("sasl.mechanism", "sasl_mechanism"),
        ("sasl.username", "sasl_plain_username"),
        ("sasl.password", "sasl_plain_password"),
    ):
        assert ours[one] == theirs[other]
    assert ours["ssl.ca.location"] == str(authority.ca)
    assert ours["ssl.certificate.location"] == str(client.certificate)
    assert ours["ssl.key.location"] == str(client.key)
    assert [ca["serialNumber"] for ca in theirs["ssl_context"].get_ca_certs()], "it trusts our CA"
    plain = KafkaSettings().aiokafka()
    assert (plain["security_protocol"], plain["ssl_context"]) == ("PLAINTEXT", None)


def test_redis_is_reported_its_files(authority: Authority, client: Identity) -> None:
    settings = RedisSettings(
        redis_url="rediss://me:it@redis:6379/0",
        redis_ssl_ca_location=str(authority.ca),
        redis_ssl_certificate_location=str(client.certificate),
        redis_ssl_key_location=str(client.key),
    )
    assert settings.redis_tls() == {
        "ssl_ca_certs": str(authority.ca),
        "ssl_certfile": str(client.certificate),
        "ssl_keyfile": str(client.key),
    }
    assert RedisSettings().redis_tls() == {}


Break = Callable[[dict[str, str], Path, Identity], dict[str, str]]


def encrypted(directory: Path, client: Identity) -> Path:
    """The client's key again, behind a password."""
    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    path = directory / "encrypted.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return path


def empty(directory: Path) -> str:
    path = directory / "empty.pem"
    path.touch()
    return str(path)


WRONG: dict[str, tuple[Break, str]] = {
    "no CA there": (
        lambda s, _d, _c: s | {"ssl_ca_location": "/nope"},
        "SSL_CA_LOCATION /nope: No such file",
    ),
    "a CA file without a CA": (lambda s, d, _c: s | {"ssl_ca_location": empty(d)}, "SSL_CA_LOCATION"),
    "a certificate without its key": (lambda s, _d, _c: s | {"ssl_key_location": ""}, "go together"),
    "no certificate there": (
        lambda s, _d, _c: s | {"ssl_certificate_location": "/nope"},
        "SSL_CERTIFICATE_LOCATION /nope",
    ),
    "another's key": (
        lambda s, d, _c: s | {"ssl_key_location": str(Authority(d / "other").issue("else").key)},
        "key values mismatch",
    ),
    "a key behind a password": (
        lambda s, d, c: s | {"ssl_key_location": str(encrypted(d, c))},
        "the key is encrypted",
    ),
}


@pytest.mark.parametrize("of", ["kafka", "redis"])
@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_cannot_be_used_is_named(
    of: str, what: str, authority: Authority, client: Identity, tmp_path: Path
) -> None:
    kind: type[Settings] = KafkaSettings if of == "kafka" else RedisSettings
    files = {
        "ssl_ca_location": str(authority.ca),
        "ssl_certificate_location": str(client.certificate),
        "ssl_key_location": str(client.key),
    }
    change, word = WRONG[what]
    broken = {f"{of}_{name}": path for name, path in change(files, tmp_path, client).items()}
    reported = refusal(kind, secure(authority, client) | {"redis_url": "rediss://me:it@redis"} | broken)
    assert word in reported
    assert of.upper() in reported


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (KafkaSettings, {"kafka_security_protocol": "SASL_SSL"}, "takes KAFKA_SASL_USERNAME"),
        (KafkaSettings, {"kafka_sasl_username": "me"}, "take KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        (KafkaSettings, {"kafka_ssl_ca_location": "/ca.pem"}, "not PLAINTEXT"),
        (
            KafkaSettings,
            {
                "kafka_security_protocol": "SASL_PLAINTEXT",
                "kafka_sasl_username": "me",
                "kafka_sasl_password": PASSWORD,
                "kafka_ssl_ca_location": "/ca.pem",
            },
            "not SASL_PLAINTEXT",
        ),
        (RedisSettings, {"redis_ssl_ca_location": "/ca.pem"}, "begins with rediss://"),
    ],
)
def test_what_would_not_be_used_is_refused(
    kind: type[Settings], settings: dict[str, str], words: str
) -> None:
    """A CA that is named and not used is a connection in the clear that nobody meant."""
    assert words in refusal(kind, settings)


def refusal(kind: type[Settings], settings: dict[str, str]) -> str:
    """What is said of settings that are refused: one line, without the password."""
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(settings)
    reported = complaint(refused.value)
    assert "\n" not in reported
    assert PASSWORD not in reported
    return reported
