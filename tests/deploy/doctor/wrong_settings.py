"""Settings that are wrong for a stack that is well, and what must be seen of each."""

from typing import Final

from deploy.processes import free_port
from tests.deploy.doctor.conftest import REAL_ARN, Plain
from tests.deploy.doctor.stand import Seen
from tests.pipeline import webhook

NOWHERE: Final = "no-such-host.invalid"


def wrong_settings(plain: Plain) -> dict[str, tuple[dict[str, str], tuple[Seen, ...]]]:
    """Faults of the settings: which are set to what, and what must be seen."""
    port, url, events = free_port(), plain.environment["REDIS_URL"], plain.events
    return {
        "kafka's name is unknown": (
            {"KAFKA_BOOTSTRAP_SERVERS": f"{NOWHERE}:9092"},
            (Seen("kafka address", NOWHERE, "KAFKA_BOOTSTRAP_SERVERS, and the DNS"),),
        ),
        "nothing listens where kafka should": (
            {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"},
            (Seen("kafka address", "takes no connection", "host and port in KAFKA_BOOTSTRAP_SERVERS"),),
        ),
        "one of two brokers is away": (
            {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port},{plain.place.bootstrap}"},
            (Seen("kafka address", "takes no connection", "host and port in KAFKA_BOOTSTRAP_SERVERS"),),
        ),
        "redis's name is unknown": (
            {"REDIS_URL": f"redis://{NOWHERE}:6379/0"},
            (Seen("redis address", NOWHERE, "REDIS_URL, and the DNS"),),
        ),
        "nothing listens where redis should": (
            {"REDIS_URL": f"redis://127.0.0.1:{port}/0"},
            (Seen("redis address", "takes no connection", "host and port in REDIS_URL"),),
        ),
        "a server that is no cluster": (
            {"REDIS_CLUSTER": "true"},
            (
                Seen(
                    "redis login",
                    "Cluster mode is not enabled",
                    "REDIS_CLUSTER is true for a cluster and no other",
                ),
            ),
        ),
        "another database": (
            {"REDIS_URL": url.removesuffix("0") + "1"},
            (Seen("generation", "was wiped, or is another one", "the right REDIS_URL"),),
        ),
        "the topic has another name": (
            {"EVENTS_TOPIC": f"{events}-of-yesterday"},
            (Seen(f"topic {events}-of-yesterday", "does not exist", "ses-metrics-topics"),),
        ),
        "another rule": (
            {"TENANT_TAG": "customer"},
            (Seen("rules", "was counted by rules", "TENANT_TAG, SEQUENCE_TAG"),),
        ),
        "no topic is listed": (
            {"SNS_TOPIC_ARNS": ""},
            (Seen("sns topics", "every message is refused", "list the ARN"),),
        ),
        "another topic is listed": (
            {"SNS_TOPIC_ARNS": REAL_ARN},
            (Seen("last delivery", f"came from {webhook.TOPIC_ARN}", "add it to SNS_TOPIC_ARNS"),),
        ),
        "what is listed is no topic": (
            {"SNS_TOPIC_ARNS": "mail-events"},
            (Seen("settings", "ingest cannot start: SNS_TOPIC_ARNS", "--help"),),
        ),
        "a setting is misspelt": (
            {"SNS_TOPIC_ARN": REAL_ARN},
            (Seen("settings", "SNS_TOPIC_ARN is no setting", "SNS_TOPIC_ARNS?"),),
        ),
        "sns's host cannot be reached": (
            {"SNS_CERTIFICATE_DIR": "", "HTTPS_PROXY": f"http://127.0.0.1:{port}"},
            (
                Seen(
                    "signing certificates", "sns.eu-central-1.amazonaws.com cannot be reached", "HTTPS_PROXY"
                ),
            ),
        ),
        "ingest does not run": (
            {"INGEST_PORT": str(port)},
            (
                Seen(
                    "ingest answers",
                    f"nothing answers at http://127.0.0.1:{port}",
                    "start `python -m ingest`",
                ),
            ),
        ),
    }
