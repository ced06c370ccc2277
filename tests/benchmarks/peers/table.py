"""The peers: how each is started, and what it does and does not guarantee.

Their environments are made on first need, from hashed requirements, under `.local/peers/`. Quix Streams needs
another confluent-kafka than the rest, so there are two. Kafka Streams needs a JDK of the machine's own: its
program is compiled when it is started. Its jars are fetched and checked as the broker's are.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from deploy.jars import Jars
from tests.benchmarks.peer import Peer
from tests.pipeline.programs import CHECKOUT

ENVIRONMENTS: Final = CHECKOUT / ".local" / "peers"
REQUIREMENTS: Final = Path(__file__).parent / "requirements"

STREAMS: Final = Jars(
    "kafka-streams-4.3.0",
    "Kafka Streams 4.3.0 (96 MB)",
    (
        "org.apache.kafka:kafka-streams:4.3.0",
        "redis.clients:jedis:7.5.3",
    ),
    files(__package__).joinpath("requirements", "kafka-streams-jars.txt"),
)
STREAMS_PROGRAM: Final = Path(__file__).parent / "java" / "KafkaStreamsPeer.java"

_FIRST: Final = "the hour is that of the first report, not the earliest"
_SEEN: Final = f"a crash between SADD and HINCRBY loses counts; a Redis that goes back stays there; {_FIRST}"
_TABLES: Final = f"right with one worker only; a crash may lose or repeat what a table took; {_FIRST}"
_SINK: Final = f"a crash between sink and commit counts twice; a Redis that goes back stays there; {_FIRST}"
_TRANSACTIONS: Final = f"exactly once within Kafka; only later sums fix a Redis that went back; {_FIRST}"
_NOTHING: Final = "reads and does nothing"


def environment(name: str) -> Path:
    """The Python of an environment, which is made where it is not there or its requirements have changed.

    name: of the file in `requirements/`. Raises: OSError, subprocess.CalledProcessError.
    """
    directory, wanted = ENVIRONMENTS / name, REQUIREMENTS / f"{name}.txt"
    python, made_of = directory / "bin" / "python", directory / "made-of.txt"
    if not made_of.is_file() or made_of.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([python, *install, "-r", wanted], check=True)
        made_of.write_text(wanted.read_text())
    return python


def _command(of: str, module: str, *options: str) -> Callable[[str, str, str], Sequence[str]]:
    def command(bootstrap: str, topic: str, redis_url: str) -> Sequence[str]:
        program = f"{__package__}.{module}"
        return [str(environment(of)), "-m", program, bootstrap, topic, redis_url, *options]

    return command


def _does(name: str, of: str, module: str, guarantees: str, documentation: str) -> Peer:
    return Peer(name, _command(of, module), guarantees, documentation)


def _idles(name: str, of: str, module: str, documentation: str) -> Peer:
    command = _command(of, module, "--nothing")
    return Peer(f"{name} nothing", command, _NOTHING, documentation, counts=False)


def _streams(bootstrap: str, topic: str, redis_url: str) -> Sequence[str]:
    STREAMS.fetch()
    return ["java", "-cp", f"{STREAMS.directory}/*", str(STREAMS_PROGRAM), bootstrap, topic, redis_url]


PEERS: Final = (
    _does("Faust tables", "most", "faust_tables", _TABLES, "Faust user guide: Tables and Windowing"),
    _does("Faust take", "most", "faust_take", _SEEN, "Faust user guide: Streams, take"),
    _does("Quix Streams", "quix", "quix", _SINK, "Quix Streams: Stateful Processing; Custom Sinks"),
    _does("Bytewax", "most", "bytewax_flow", _SINK, "Bytewax user guide: stateful operators"),
    _does("Arroyo", "most", "arroyo_batches", _SEEN, "Arroyo: Getting Started, Processing Strategies"),
    Peer(
        "Kafka Streams",
        _streams,
        _TRANSACTIONS,
        "Kafka Streams developer guide: Processor API, DSL, count",
        warms_up=True,
    ),
    _does("naive loop", "most", "naive", _SEEN, "confluent-kafka: Consumer"),
    _idles("Faust", "most", "faust_tables", "Faust user guide: Agents"),
    _idles("Quix Streams", "quix", "quix", "Quix Streams: Processing"),
    _idles("Bytewax", "most", "bytewax_flow", "Bytewax: Kafka connector"),
    _idles("Arroyo", "most", "arroyo_batches", "Arroyo: RunTask"),
    _idles("naive loop", "most", "naive", "confluent-kafka: Consumer"),
)

if __name__ == "__main__":
    STREAMS.print_listing()
