"""SNS: what a message is, whether SNS signed it, and the calls that this takes.

Lives here: the form and signature of messages (`messages`, pure), signing certificates, the confirmation of
subscriptions, and the bounded way out to SNS (`outbound`, `places`).
Does not: HTTP towards the caller, and Kafka.
The way through: a body -> `messages.parse` -> `certificates` -> `messages.verify`.
"""
