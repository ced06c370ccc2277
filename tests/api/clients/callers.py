"""The three clients behind one face, so that each law is tested on all of them.

An outcome is what a caller sees, in plain values: the result, or the error's class and fields.
"""

import asyncio
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from kraiter import ApiError, AsyncKraiter, Kraiter, KraiterError, UnexpectedAnswerError
from kraiter.counts import ByField
from kraiter.results import FURTHER_RATES
from tests.debian import skip_but_not_in_ci
from tests.services import LIMIT_S

CLIENTS = Path(__file__).parents[3] / "api" / "clients"
MODULE = CLIENTS / "typescript" / "src" / "index.js"

Call = tuple[str, tuple[Any, ...]]
"""A method of `metrics`, by its name in Python, and its arguments."""
Outcome = dict[str, Any]
ALL_IDS = "all_ids"
"""The method that gives ids one by one; its outcome is all of them."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client may do."""

    timeout_s: float = 30.0
    retries: int = 3
    max_wait_s: float = 30.0
    cache_size: int = 64


class Caller(Protocol):
    """Makes one client and asks it one thing after the other."""

    def __call__(
        self, base_url: str, key: str, calls: Sequence[Call], limits: Limits = Limits()
    ) -> list[Outcome]: ...


def sync(base_url: str, key: str, calls: Sequence[Call], limits: Limits = Limits()) -> list[Outcome]:
    """Python."""
    outcomes = []
    with Kraiter(key, base_url, **dataclasses.asdict(limits)) as kraiter:
        for method, arguments in calls:
            try:
                result = getattr(kraiter.metrics, method)(*arguments)
                outcomes.append({"ids": list(result)} if method == ALL_IDS else _told(result))
            except KraiterError as error:
                outcomes.append(_refused(error))
    return outcomes


def awaited(base_url: str, key: str, calls: Sequence[Call], limits: Limits = Limits()) -> list[Outcome]:
    """Python, asynchronous."""

    async def ask() -> list[Outcome]:
        outcomes = []
        async with AsyncKraiter(key, base_url, **dataclasses.asdict(limits)) as kraiter:
            for method, arguments in calls:
                try:
                    result = getattr(kraiter.metrics, method)(*arguments)
                    outcomes.append(
                        {"ids": [each async for each in result]} if method == ALL_IDS else _told(await result)
                    )
                except KraiterError as error:
                    outcomes.append(_refused(error))
        return outcomes

    return asyncio.run(ask())


def javascript(base_url: str, key: str, calls: Sequence[Call], limits: Limits = Limits()) -> list[Outcome]:
    """JavaScript, in a Node of its own."""
    options = {
        "apiKey": key,
        "baseUrl": base_url,
        "timeoutMs": limits.timeout_s * 1000,
        "retries": limits.retries,
        "maxWaitMs": limits.max_wait_s * 1000,
        "cacheSize": limits.cache_size,
    }
    source = f"""
        const kraiter = new Kraiter({json.dumps(options)});
        const outcomes = [];
        for (const [method, given] of {json.dumps(calls)}) {{
          try {{
            if (method === "{ALL_IDS}") {{
              const ids = [];
              for await (const id of kraiter.metrics.allIds(...given)) ids.push(id);
              outcomes.push({{ ids }});
            }} else outcomes.push(await kraiter.metrics[method](...given));
          }} catch (error) {{
            if (!(error instanceof KraiterError)) throw error;
            const {{ name, code, status, detail, parameter, requestId, retryAfterMs }} = error;
            const retry_after_s = retryAfterMs === undefined ? undefined : retryAfterMs / 1000;
            const told = {{ name, code, status, detail, parameter, request_id: requestId, retry_after_s }};
            outcomes.push({{ error: told }});
          }}
        }}
        console.log(JSON.stringify(outcomes));
    """
    outcomes: list[Outcome] = json.loads(run_node(source).stdout)
    return outcomes


def node() -> str:
    """The path of Node."""
    found = shutil.which("node")
    if found is None:
        skip_but_not_in_ci("no `node` on the PATH: the JavaScript client cannot be tried")
    return found


def run_node(source: str) -> subprocess.CompletedProcess[str]:
    """Run a module in which the client's names are imported; it must end well."""
    names = "Kraiter, KraiterError, groupRows, rows"
    text = f"import {{ {names} }} from {json.dumps(MODULE.as_uri())};\n{source}"
    done = subprocess.run(
        [node(), "--input-type=module", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


CALLERS: tuple[Caller, ...] = (sync, awaited, javascript)


def _told(result: Any) -> Outcome:
    """A result as the JSON that it was."""
    told = _plain(result)
    assert isinstance(told, dict)
    return told


OPTIONAL = {"timezone", "rates", "health", "previous", "change", "groups", "others", "status"}
"""Members that are not there rather than null."""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.utcoffset() is not None
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if not dataclasses.is_dataclass(value):
        return value
    members = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, ByField):
        members = {name: each for name, each in members.items() if name != "_values"} | value.as_dict()
    told = {"from" if name == "from_" else name: _plain(each) for name, each in members.items()}
    if told.get("rates") is not None:
        counted = value if isinstance(value, ByField) else members["totals"]
        for rate, field in FURTHER_RATES.items():
            if field not in counted.as_dict():
                assert told["rates"].pop(rate) is None
    return {name: each for name, each in told.items() if each is not None or name not in OPTIONAL}


def _refused(error: KraiterError) -> Outcome:
    told: dict[str, Any] = {"name": type(error).__name__}
    if isinstance(error, UnexpectedAnswerError):
        told["status"] = error.status
    if isinstance(error, ApiError):
        fields = ("code", "status", "detail", "parameter", "request_id", "retry_after_s")
        told |= {name: getattr(error, name) for name in fields if getattr(error, name) is not None}
    return {"error": told}
