"""What people get wrong, looked for by a program: `python -m deploy.doctor`, the first thing to run.

Lives here: the checks, each a function that gives findings (`check`), grouped by what they look at: the
settings themselves (`site`), Kafka (`kafka_side`, judged in `topics` and `rights`), Redis (`redis_side`,
judged in `redis_server`), how far counting is (`counting`), SNS's part (`deliveries`); all of them together
(`examination`); and the test event (`send`).
Does not: fix or write anything, but for `--send`; and start or watch over programs.
The way through: environment -> `site` -> `examination`, check by check -> rows of a table or of JSON.

It belongs to none of the programs and imports all of them, so none imports it. It comes with the wheel.
"""
