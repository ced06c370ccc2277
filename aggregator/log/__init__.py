"""Kafka: the log that is counted, and the dead letters that are written.

Lives here: everything that knows Faust, aiokafka or confluent-kafka by name. Two ways in: `source` is what
a worker of a consumer group knows, kept by `faust_transport` and `faust_app`; `bulk_reader` is for commands.
Both read record batches by `packed_fetch`, `unpacking` and `record_parser`. Beside them what is asked of the
cluster (`admin`), what a log that has lost records can speak for (`coverage`), and the dead-letter topic:
written (`dead_letters`), listed and redriven (`redrive`).
Does not: what a record means (`counting`), and Redis.
The way through: a fetch -> `packed_fetch` -> a batch of records -> whoever counts.
"""
