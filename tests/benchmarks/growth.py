"""What an event costs as things grow: ten times the tenants, ten times the topic.

Ten times the tenants: the reference workload with 2,000 of them, as many events. Ten times the topic: as many
events a day for 150 days instead of 15; Redis then holds ten times as much too. To keep the bench short the
longer topic has twice the reference's events, and is compared with a tenth of itself.
"""

from dataclasses import replace

from tests.benchmarks import runs
from tests.benchmarks.counting import LIVE_NOTE, Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.runs import Bench
from tests.benchmarks.workload import REFERENCE

MANY_TENANTS = replace(REFERENCE, name="many-tenants", tenants=10 * REFERENCE.tenants)
LONG = replace(REFERENCE, name="long", days=10 * REFERENCE.days)


def growth(bench: Bench) -> list[Figure]:
    """One worker on each, every round on all of them."""
    long = 2 * bench.events
    cases = {
        "base": ("the reference workload", bench.scene.topic(REFERENCE, bench.events)),
        "tenants": ("ten times the tenants", bench.scene.topic(MANY_TENANTS, bench.events)),
        "short": (f"{long // 10:,} events in 15 days", bench.scene.topic(REFERENCE, long // 10)),
        "long": (f"{long:,} events in 150 days", bench.scene.topic(LONG, long)),
    }
    table = Table()
    for number in range(bench.rounds):
        bench.say(f"growth, round {number + 1} of {bench.rounds}")
        cost_us: dict[str, float] = {}
        for name, (what, topic) in cases.items():
            ceiling = runs.ceiling(bench.scene, topic)
            one = runs.live(bench.scene, topic, 1)
            table.add_count(f"growth.{name}", what, one, ceiling, LIVE_NOTE)
            cost_us[name] = one.cpu_us["programs"] + one.cpu_us["valkey"]
        tenants, length = cost_us["tenants"] / cost_us["base"], cost_us["long"] / cost_us["short"]
        note = "CPU time an event of worker and Valkey, as a ratio"
        table.add("growth.tenants.cost", "cost at ten times the tenants", "ratio", tenants, note)
        table.add("growth.long.cost", "cost at ten times the topic", "ratio", length, note)
    return table.figures()
