"""`catch-up`: the live counters counted on from the archive, up to where the topic begins."""

from aggregator.commands.arguments import Json
from aggregator.commands.output import WITHOUT_DEAD_LETTER, err, errors_in_a_line, out, print_json, table
from aggregator.config import AggregatorSettings
from aggregator.rebuild.rejoin import CatchUp
from schemas.shared import logs


def catch_up(*, as_json: Json = False) -> None:
    """Count the live counters on from the archive of ARCHIVE_URL, up to where the topic begins.

    For workers that say that their log starts above what is counted; they go on by themselves then. Killed,
    run it again. Where every checkpoint lies in the topic it does nothing.
    """
    logs.configure()

    def say(what: str) -> None:
        if not as_json:
            err.print(what, highlight=False)

    with errors_in_a_line():
        done = CatchUp(AggregatorSettings()).run(say)
    rows = [{"partition": gap.partition, "from": gap.first, "to": gap.next} for gap in done.gaps]
    if as_json:
        print_json({"partitions": rows, "without_dead_letter": done.without_dead_letter})
        return
    out.print(table("Counted from the archive", rows) if rows else "every checkpoint lies in the topic")
    if done.without_dead_letter:
        out.print(WITHOUT_DEAD_LETTER.format(done.without_dead_letter))
