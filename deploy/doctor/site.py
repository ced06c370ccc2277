"""What is examined: the settings of one or several programs, as these would read them."""

import difflib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from aggregator.config import AggregatorSettings
from api.config import ApiSettings
from deploy.doctor.check import Finding, ok, problem, stop
from deploy.doctor.network import Address
from ingest.config import IngestSettings
from schemas import topics
from schemas.shared.create_topics import all_topics
from schemas.shared.settings import KafkaSettings, RedisSettings, Settings, complaint
from schemas.topics import TopicConfig

PROGRAMS: Final[Mapping[str, type[Settings]]] = {
    "ingest": IngestSettings,
    "aggregator": AggregatorSettings,
    "api": ApiSettings,
}

ALIKE: Final = 0.9
"""From which likeness on (`difflib`) a variable is taken for a setting that was misspelt."""


@dataclass(frozen=True, slots=True)
class Site:
    """The settings of the programs that were chosen and whose settings can be used.

    wrong: what is wrong with those of the others, by program.
    """

    ingest: IngestSettings | None
    aggregator: AggregatorSettings | None
    api: ApiSettings | None
    wrong: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The programs whose settings can be used."""
        return [name for name in PROGRAMS if getattr(self, name) is not None]

    @property
    def kafka(self) -> KafkaSettings | None:
        """Where Kafka is: the same for all; none where no settings can be used."""
        return self.aggregator or self.ingest or self.api

    @property
    def redis(self) -> RedisSettings | None:
        """Where Redis is; none where no program is chosen that uses it, or its settings can't be used."""
        return self.aggregator or self.api

    @property
    def replica(self) -> RedisSettings | None:
        """The server that the API reads in place of that one; none where there is none."""
        return None if self.api is None or self.api.redis_read_url is None else self.api.redis_reads

    @property
    def events_topic(self) -> str | None:
        """The topic of events; none where no chosen program uses it."""
        settings = self.aggregator or self.ingest
        return settings.events_topic if settings else None

    @property
    def topics(self) -> dict[str, TopicConfig]:
        """The topics that the programs use, by name, and how each must be."""
        found: dict[str, TopicConfig] = {}
        if self.ingest is not None:
            found[self.ingest.events_topic] = topics.EVENTS
        if self.aggregator is not None:
            found |= all_topics(self.aggregator)
        found.pop(topics.API_KEYS_TOPIC, None)
        if self.api is not None:
            found[topics.API_KEYS_TOPIC] = topics.API_KEYS
        return found

    @property
    def names_in_kafka(self) -> dict[str, str]:
        """What topics and groups are called, by what they are called by default."""
        settings = [each for each in (self.ingest, self.aggregator) if each is not None]
        return {
            str(field.default): str(getattr(each, name))
            for each in settings
            for name, field in type(each).model_fields.items()
            if name.endswith("_topic") or name == "consumer_group"
        }


def read(programs: Collection[str], env_file: Path | None) -> Site:
    """Read the settings of programs. env_file: beside the environment, which goes first."""
    found: dict[str, Settings | None] = dict.fromkeys(PROGRAMS)
    wrong = {}
    for name in programs:
        try:
            found[name] = PROGRAMS[name](_env_file=env_file)
        except ValidationError as error:
            wrong[name] = complaint(error)
    return Site(**found, wrong=wrong)  # type: ignore[arg-type]  # of each its own


def as_env_file(environment: Mapping[str, str]) -> str:
    """The settings of the programs among variables, as the text of a file for `read`."""
    known = {field.upper() for settings in PROGRAMS.values() for field in settings.model_fields}
    lines = []
    for name in sorted(known & environment.keys()):
        quoted = environment[name].replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"{name}='{quoted}'\n")
    return "".join(lines)


def check_settings(site: Site, variables: Iterable[str]) -> list[Finding]:
    """What is wrong with the settings themselves. variables: names that are set in the environment."""
    what: dict[str, list[str]] = {}
    for name, text in site.wrong.items():
        what.setdefault(text, []).append(name)
    found = [
        stop(f"{', '.join(names)} cannot start: {text}", "set what is named as `--help` of the program says")
        for text, names in what.items()
    ]
    found += [
        problem(f"{name} is no setting of any program", f"do you mean {meant}?")
        for name, meant in misspelt(variables).items()
    ]
    return found or [ok(f"those of {', '.join(site.names)} can be used")]


def misspelt(variables: Iterable[str]) -> dict[str, str]:
    """Variables that look like a setting and are none, and which is meant."""
    known = {field.upper() for settings in PROGRAMS.values() for field in settings.model_fields}
    found = {}
    for name in sorted({variable.upper() for variable in variables} - known):
        if close := difflib.get_close_matches(name, known, n=1, cutoff=ALIKE):
            found[name] = close[0]
    return found


def variables_set() -> list[str]:
    """The names of the variables of the environment."""
    return list(os.environ)


def kafka_addresses(settings: KafkaSettings) -> list[Address]:
    """The brokers that the settings name."""
    return [_kafka_address(text.strip()) for text in settings.kafka_bootstrap_servers.split(",")]


def _kafka_address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    try:
        return parts.hostname or text, parts.port or 9092
    except ValueError:  # what is no port makes a name that nobody knows
        return text, 9092


def redis_addresses(settings: RedisSettings) -> list[Address]:
    """The servers that the settings name; none where it is a socket of this host."""
    first, others = settings.redis_nodes
    parts = urlsplit(first)
    return [] if parts.scheme == "unix" else [(parts.hostname or "", parts.port or 6379), *others]


def redis_user(settings: RedisSettings) -> str:
    """The user of Redis."""
    return unquote(urlsplit(settings.redis_nodes[0]).username or "default")
