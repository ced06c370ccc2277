"""The worker: counts what Kafka brings, live.

Lives here: the life of the process (`process`), what a worker does (`worker`), what it has read and not yet
counted (`pending`), whether counting is still right (`checking`) and how far behind it is (`lag`).
Does not: how a batch is fetched (`log`), what it means (`counting`), how it is counted (`counters`).
The way through: a batch of the transport -> `worker` -> `pending` -> the Redis thread -> `counters`.
"""
