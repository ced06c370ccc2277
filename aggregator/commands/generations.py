"""`generations`: list, drop and restore what Redis holds."""

from contextlib import closing
from typing import Annotated

import typer

from aggregator.commands.arguments import Json
from aggregator.commands.output import errors_in_a_line, out, print_json, table
from aggregator.config import AggregatorSettings
from aggregator.counters.housekeeping import drop_named, drop_retired, listed
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.timestamps import iso

cli = typer.Typer(no_args_is_help=True, help="What Redis holds: list, drop, restore.")


@cli.command("list")
def list_generations(*, as_json: Json = False) -> None:
    """All generations of counters in Redis; reads the names of all keys."""
    with errors_in_a_line(), closing(Keyspace(AggregatorSettings())) as keys:
        found = listed(keys)
    rows = [
        {
            "name": each.name,
            "state": str(each.state),
            "created": iso(each.generation.created_ms) if each.generation else None,
            "lanes": each.generation.lanes if each.generation else None,
            "rules": each.generation.rules if each.generation else None,
            "keys": each.keys,
        }
        for each in found
    ]
    if as_json:
        print_json({"generations": rows})
    else:
        out.print(table("Generations", rows) if rows else "no generations")


@cli.command("drop")
def drop_generations(
    name: Annotated[str | None, typer.Argument(help="as `list` shows it")] = None,
    *,
    retired: Annotated[bool, typer.Option("--retired", help="All that are retired.")] = False,
    as_json: Json = False,
) -> None:
    """Remove generations for good; never the live one, nor one that a running rebuild makes."""
    if retired == (name is not None):
        raise typer.BadParameter("say either a name or --retired")
    with errors_in_a_line(), closing(Keyspace(AggregatorSettings())) as keys:
        names, number = drop_retired(keys) if name is None else ([name], drop_named(keys, name))
    if as_json:
        print_json({"dropped": names, "keys": number})
    else:
        out.print(f"{number:,} keys of {', '.join(names)} removed" if names else "nothing is retired")


@cli.command("restore")
def restore_generation() -> None:
    """Make a switch again that was done and that Redis lost: workers and the API say where that is needed."""
    with errors_in_a_line(), closing(Keyspace(AggregatorSettings())) as keys:
        before, after = keys.registry.restore()
    out.print(f"generation {after.name} is live again, {before.name} is retired")
