"""Whether the API reads what workers count, where that is a replica (`REDIS_READ_URL`).

Whether it lets us in, as of any Redis; then what it says of itself and of its link is judged, which is pure.
"""

from collections.abc import Mapping
from typing import Any, Final

from deploy.doctor.check import Check, Finding, ok, problem
from deploy.doctor.redis_side import LOGIN, Redis, check_rights, reached
from schemas.counters import Record

SETTING: Final = "REDIS_READ_URL"
STAND_STILL: Final = "the API's numbers stand still"
FOLLOW: Final = f"REPLICAOF the server at REDIS_URL, or name another one in {SETTING}"

Info = Mapping[str, Any]


def checks(primary: Redis, replica: Redis) -> list[Check]:
    """The checks of the replica. primary: the server at REDIS_URL."""
    login = "replica login"
    return [
        *reached(replica, "replica", SETTING),
        Check("replica rights", lambda: check_rights(["api"], replica), (login,)),
        Check("replica", lambda: [_check(primary, replica)], (login, LOGIN)),
    ]


def _check(primary: Redis, replica: Redis) -> Finding:
    [follower] = replica.infos()  # first: what its primary writes meanwhile only makes it look further behind
    [followed] = primary.infos()
    return judge_replica(followed, follower) or judge_numbers(primary.record, replica.record, follower)


def judge_replica(primary: Info, replica: Info) -> Finding | None:
    """What is wrong with a replica, by the `INFO` of both; none where it follows."""
    if replica["run_id"] == primary["run_id"]:
        return ok("it is the server at REDIS_URL itself")
    if (broken := _judge_link(replica)) is not None:
        return broken
    if replica["master_replid"] != primary["master_replid"]:
        return problem(f"it follows another server than that at REDIS_URL: {STAND_STILL}", FOLLOW)
    behind, kept = bytes_behind(primary, replica), int(primary["repl_backlog_size"])
    if behind > kept:
        return problem(
            f"it is {behind:,} bytes behind, and a link that breaks now makes it copy all data again",
            f"a faster host or network for it, and on the primary a repl-backlog-size above {kept:,}",
        )
    return None


def _judge_link(replica: Info) -> Finding | None:
    """What is wrong with its link to its primary, whichever that is."""
    if replica["role"] == "master":
        return problem(f"it follows no server (it was promoted, or never did): {STAND_STILL}", FOLLOW)
    if replica["master_sync_in_progress"]:
        return problem(
            "it copies all data of its primary: until then the API may answer 503", "wait, and ask again"
        )
    if replica["master_link_status"] != "up":
        since = int(replica["master_link_down_since_seconds"])
        return problem(
            f"its link to its primary is down, for {since:,} s: {STAND_STILL}",
            "look at its log: the network between, masterauth, and a certificate that the primary accepts",
        )
    return None


def judge_numbers(primary: Record, replica: Record, info: Info) -> Finding:
    """Whether one that follows has what the API reads, in the database that the setting names."""
    if primary.live is not None and replica.live is None:
        return problem(
            "it follows, and holds no live generation in this database",
            f"{SETTING} with the database of REDIS_URL",
        )
    return ok(f"follows; the last word of its primary is {int(info['master_last_io_seconds_ago'])} s old")


def bytes_behind(primary: Info, replica: Info) -> int:
    """How much of what the primary has written the replica has not."""
    return max(0, int(primary["master_repl_offset"]) - int(replica["slave_repl_offset"]))
