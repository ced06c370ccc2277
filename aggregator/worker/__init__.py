"""The worker: counts what Kafka brings, live.

Lives here: the life of the process (`process`) and what a worker does (`worker`). A resync finds the live
generation (`live`), looks whether the log goes on from its checkpoints (`log_check`) and makes an
`assignment`: all that is known until the next resync. Each second a tick (`ticking`) moves silent lanes
along and tells what is `complete`, once it is vouched for (`vouching`, `checking`). Beside it: whether the
worker is ready (`readiness`) and how far behind it is (`lag`).
Does not: how a batch is fetched (`log.source`), what it means (`counting`), how it is counted (`counters`).
The way through: a batch of the source -> `worker` -> `assignment` -> `counters.sink`.
"""
