"""Kafka's jars. `python -m deploy.kafka_jars` prints the list for `kafka-jars.txt`, of a new version too."""

from importlib.resources import files
from typing import Final

from deploy.jars import Jars

VERSION: Final = "4.3.0"
KAFKA: Final = Jars(
    f"kafka-{VERSION}",
    f"Apache Kafka {VERSION} (45 MB)",
    (
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ),
    files("deploy").joinpath("kafka-jars.txt"),
)
"""The broker, and what binds its log calls to the logger that it ships with: without it a broker is mute."""

if __name__ == "__main__":
    KAFKA.print_listing()
