"""The rights that each program needs, read from what grants them, `kafka.sh` and `redis.acl`.

So there is one table of them, and what is tested there is what is looked for here. Pure but for the two
files.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from typing import Final, NamedTuple

from deploy.doctor.check import Finding, ok, problem
from schemas.redis_keys import RECORD_KEY, lane_key

USERS: Final = {"ingest": "ses-ingest", "aggregator": "ses-worker", "api": "ses-api"}
"""What the user of each program is called in both files."""

_GRANT: Final = re.compile(r"^may (\S+) --operation (\w+) --(topic|group) (\S+)$", re.MULTILINE)
_SECURITY: Final = files("deploy").joinpath("security")

THE_RECORD: Final = ""
"""Stands for what is no command of its own: reading the record of the generations."""

A_KEY: Final = lane_key("doctor", 0)
"""A key that matches what the users may touch, and that nothing ever stands at."""

_SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("ping", "info", "dbsize", "time", "multi", "exec"), ()),
    "scan": ("0",),
    **dict.fromkeys(("eval", "eval_ro", "evalsha", "evalsha_ro"), ("x", "1", A_KEY)),
}
"""Arguments of the commands whose first one is no key."""

CHECK_SCRIPT: Final = """
local lacking = {}
for number, call in ipairs(cjson.decode(ARGV[1])) do
  if not redis.acl_check_cmd(unpack(call)) then
    lacking[#lacking + 1] = number - 1
  end
end
return lacking
"""
"""Asks Redis which of some calls, by their places, its user may not make; it makes none of them.

`ACL DRYRUN` would take a right of its own."""


class KafkaRight(NamedTuple):
    """What a program does with a topic or a group. operation: as Kafka calls it, in capitals."""

    operation: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation} on {'group ' if self.kind == 'group' else ''}{self.name}"


def kafka_rights(programs: Iterable[str], names: Mapping[str, str]) -> list[KafkaRight]:
    """The rights that programs need. names: what topics and groups are called where not by default."""
    users = {USERS[program] for program in programs}
    text = _SECURITY.joinpath("kafka.sh").read_text()
    found = [
        KafkaRight(operation.upper(), kind, names.get(name, name))
        for user, operation, kind, name in _GRANT.findall(text)
        if user in users
    ]
    return list(dict.fromkeys(found))


def redis_commands(programs: Iterable[str]) -> list[str]:
    """The commands that programs give, as they stand in an ACL (`script|load`)."""
    users = {USERS[program] for program in programs}
    lines = _SECURITY.joinpath("redis.acl").read_text().splitlines()
    words = [line.split() for line in lines if line]
    granted = [word[1:] for _, user, *rest in words if user in users for word in rest if word[0] == "+"]
    return list(dict.fromkeys(granted))


def redis_calls(commands: Iterable[str]) -> list[tuple[str, list[str]]]:
    """A call of each command, for `CHECK_SCRIPT`, and before them a look at the record of the generations.

    Returns: the command (`THE_RECORD`), and the words of the call.
    """
    calls = [(THE_RECORD, ["GET", RECORD_KEY])]
    for command in commands:
        name, _, part = command.partition("|")
        arguments = (part, "x") if part else _SHAPES.get(name, (A_KEY,))
        calls.append((command, [name, *arguments]))
    return calls


def judge_kafka(
    wanted: Collection[KafkaRight], granted: Mapping[tuple[str, str], set[str]], user: str
) -> list[Finding]:
    """Which rights are lacking. granted: what Kafka allows, by kind and name. user: of Kafka."""
    lacking = [each for each in wanted if each.operation not in granted[each.kind, each.name]]
    if not lacking:
        return [ok(", ".join(map(str, wanted)))]
    return [
        problem(
            f"this Kafka user lacks {each}",
            f"kafka-acls.sh --add --allow-principal User:{user} --operation {each.operation.capitalize()}"
            f" --{each.kind} {each.name} (deploy/security/kafka.sh)",
        )
        for each in lacking
    ]


def judge_redis(wanted: Collection[str], lacking: Collection[str], user: str) -> list[Finding]:
    """Which commands are lacking. lacking: of those wanted, or `THE_RECORD`. user: of Redis."""
    if not lacking:
        return [ok(f"{len(wanted)} commands")]
    if THE_RECORD in lacking:
        return [
            problem(
                f"the Redis user {user} may not read the record of the generations",
                f"ACL SETUSER {user} ~{{ses-metrics}}:* ~{{*:*}}* (for the API %R~ in place of ~, as in"
                " deploy/security/redis.acl)",
            )
        ]
    return [
        problem(
            f"the Redis user {user} may not: {' '.join(lacking)}",
            f"ACL SETUSER {user} {' '.join(f'+{name}' for name in lacking)} (deploy/security/redis.acl)",
        )
    ]
