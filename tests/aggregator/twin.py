"""As much of Redis as the record of the generations needs, in memory: its scripts are said in Python here.

The laws of the generations are run against this twin, quickly, and against a real Valkey.
"""

from typing import Any

from aggregator.counters import lanes, registry


def _raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Twin:
    """A Redis with strings and hashes."""

    def __init__(self) -> None:
        self.strings: dict[str, bytes] = {}
        self.hashes: dict[str, dict[str, bytes]] = {}

    def get(self, key: str) -> bytes | None:
        return self.strings.get(key)

    def set(self, key: str, value: Any, *, nx: bool = False) -> bool:
        if nx and key in self.strings:
            return False
        self.strings[key] = _raw(value)
        return True

    def delete(self, key: str) -> None:
        self.strings.pop(key, None)
        self.hashes.pop(key, None)

    def mget(self, *keys: str) -> list[bytes | None]:
        return [self.strings.get(key) for key in keys]

    def hmget(self, key: str, *fields: str) -> list[bytes | None]:
        return [self.hashes.get(key, {}).get(field) for field in fields]

    def hexists(self, key: str, field: str) -> bool:
        return field in self.hashes.get(key, {})

    def hset(self, key: str, *, mapping: dict[str, Any]) -> None:
        self.hashes.setdefault(key, {}).update({field: _raw(value) for field, value in mapping.items()})

    def eval(self, script: str, numkeys: int, *rest: Any) -> bytes:
        keys, arguments = rest[:numkeys], [_raw(each) for each in rest[numkeys:]]
        if script == registry.RECORD_SCRIPT:
            return self._record(keys, *arguments)
        assert script == lanes.LANE_SCRIPT
        return self._lane(keys[0], *arguments)

    def _record(self, keys: tuple[str, ...], was: bytes, wanted: bytes, token: bytes, unheld: bytes) -> bytes:
        key, lease = keys
        holder = self.strings.get(lease)
        if (token and holder != token) or (unheld and holder == unheld):
            return b"LEASE"
        if self.strings.get(key, b"") != was:
            return b"CHANGED"
        self.strings[key] = wanted
        return b"OK"

    def _lane(self, key: str, name: bytes, what: bytes, attempt: bytes, successor: bytes = b"") -> bytes:
        lane = self.hashes.get(key, {})
        if lane.get("generation") != name:
            return b"GONE"
        answer = b"OK"
        if what == b"close":
            if lane.get("barred") == attempt:
                answer = b"BARRED"
            else:
                lane["retired"] = attempt
        elif what == b"open":
            if "successor" in lane:
                answer = b"SUCCEEDED"
            else:
                if lane.get("retired") == attempt:
                    del lane["retired"]
                lane["barred"] = attempt
        elif lane.get("retired") != attempt:
            answer = b"BARRED"
        else:
            lane["successor"] = successor
        return answer
