"""Kafka: the record of a message, and its way to the events topic.

Lives here: what is stored of a message (`record`, pure) and the producer (`publish`).
Does not: anything that decides whether a message is stored.
The way through: a verified message -> `record` -> `publish` -> acknowledged by all in-sync replicas.
"""
