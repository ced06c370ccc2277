"""The aggregator: counts each fact of the events topic once, in hourly counters in Redis.

Its rooms, each above those that it uses: `worker` counts live, `rebuild` counts again beside it, `proof`
counts again to compare, `tracing` follows one record; below them `bulk` (many processes count the history),
`history`, one reader over archive and log, `erasure` (a tenant's past is taken away), `counters` (Redis),
`archive` (what is kept of the log for years) and `log` (Kafka), and at the ground `counting`, the law, which
knows none of them. `commands` is what an operator types, `probes` what an orchestrator and Prometheus read.
"""
