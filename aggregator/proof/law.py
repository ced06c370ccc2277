"""The law of counting in SQL (`law.sql`), and the data that it takes: kinds, machines and the rules. Pure.

The logic is all in `law.sql`. What is made here are values alone, as SQL writes them: a row for each kind,
the table of machines, names of scopes and tags.
"""

from importlib.resources import files
from typing import Any, Final

from aggregator.counting.rules import Rules
from schemas import machines
from schemas.counters import TENANT
from schemas.kinds import FUTURE_MS, KINDS, Kind

LAW: Final = (files("aggregator.proof") / "law.sql").read_text()

_FOR_QUERIES: Final = (files("aggregator.proof") / "views.sql").read_text()

_ALL_COUNT: Final = 2**63 - 1
"""An offset that no partition reaches."""

_VIEWS: Final = """\
-- The archive by the rules of the settings, as views of DuckDB. Where it is, the variable `archive` says.
SET VARIABLE archive = coalesce(getvariable('archive'), {archive});
CREATE OR REPLACE TEMP VIEW slim AS SELECT * REPLACE (map_entries(tags) AS tags)
FROM read_parquet(getvariable('archive') || '/*/*/*.parquet', union_by_name => true);
-- All that is there counts, of every topic that was archived.
{parameters}{checkpoints}SET VARIABLE unlisted = {unlisted};
-- Of tenants that were erased rows may be left: insert each here, with the time of its erasure.
{erasures}
{law}"""

_CELLS: Final = """
SELECT tenant, scope, id, make_timestamp_ms(at_ms) AS "at", field, n FROM cells ORDER BY ALL;
"""

CHECKPOINTS: Final = (
    "CREATE OR REPLACE TEMP TABLE checkpoints (tenant VARCHAR, partition INTEGER, checkpoint BIGINT);\n"
)
ERASURES: Final = "CREATE OR REPLACE TEMP TABLE erasures (tenant VARCHAR, through BIGINT);\n"


def script(rules: Rules, archive: str) -> str:
    """All that counts an archive, for DuckDB's shell: `duckdb < this.sql`.

    archive: a directory or URL as DuckDB takes it. Its table of erasures is empty: they are in Kafka.
    """
    return _views(rules, archive) + _CELLS


def views(rules: Rules, archive: str) -> str:
    """What queries of analysts begin with: the law, and each fact once. Arguments: as in `script`."""
    return f"{_views(rules, archive)}\n{_FOR_QUERIES}"


def _views(rules: Rules, archive: str) -> str:
    return _VIEWS.format(
        archive=_literal(archive),
        parameters=parameters(rules),
        checkpoints=CHECKPOINTS,
        erasures=ERASURES,
        unlisted=_ALL_COUNT,
        law=LAW,
    )


def parameters(rules: Rules) -> str:
    """The statements that give the law its kinds and its variables, but for `unlisted`."""
    values = {
        "scopes": (TENANT, *rules.scope_names),
        "tags": rules.tags,
        "default_tenant": rules.default_tenant,
        "future_ms": FUTURE_MS,
        "machines": {
            "likely": machines.LIKELY,
            "whole": machines.WHOLE,
            "endings": machines.ENDINGS,
            "parts": machines.PARTS,
        },
    }
    variables = [f"SET VARIABLE {name} = {_literal(value)};\n" for name, value in values.items()]
    rows = ",\n".join(map(_row, KINDS))
    return "".join(variables) + (
        f"CREATE OR REPLACE TEMP TABLE kinds AS FROM (VALUES\n{rows}\n"
        ") AS kind(field, type, per_message, by_people, late_ms, stale_ms, conditions);\n"
    )


def _row(kind: Kind) -> str:
    """A kind. Of a condition's path the last part is the archive's column for what stands there."""
    conditions = [
        {"named": each.path[-1], "among": each.among, "values": list(map(_text, each.values))}
        for each in kind.conditions
    ]
    horizon = kind.horizon
    row = (
        kind.field,
        kind.event_type,
        kind.per_message,
        kind.by_people,
        horizon.late_ms,
        horizon.stale_ms,
        conditions,
    )
    return f"  ({', '.join(map(_literal, row))})"


def _text(value: str | bool) -> str:
    """A value of a condition as the text that SQL makes of it."""
    return value if isinstance(value, str) else str(value).lower()


def _literal(value: Any) -> str:
    """A value as SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value).lower()
