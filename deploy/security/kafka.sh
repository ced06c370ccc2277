#!/bin/sh
# The Kafka users of ses-metrics and the rights of each: no program needs more, and each needs all of its own.
# tests/pipeline/test_secure.py runs everything with just these, and shows of each line what its lack brings about.
#
# An administrator runs it once. KAFKA: where the broker is and how the administrator logs in. *_PASSWORD: one for
# each user, made beforehand (`openssl rand -base64 30`).
#
#   KAFKA="--bootstrap-server broker.example.com:9093 --command-config admin.properties" sh kafka.sh
#
# The names of topics and of the group are the defaults of EVENTS_TOPIC, DEAD_LETTER_TOPIC, ERASURES_TOPIC and
# CONSUMER_GROUP. A rebuild shares its work in a group of its own, whose name begins with that one's and `-rebuild-`.
set -eu

user() {
    kafka-configs.sh $KAFKA --alter --entity-type users --entity-name "$1" --add-config "SCRAM-SHA-512=[password=$2]"
}
may() {
    principal="User:$1" && shift
    kafka-acls.sh $KAFKA --add --allow-principal "$principal" "$@"
}

# python -m deploy.topics, which makes the topics where they are missing
user ses-topics "$SES_TOPICS_PASSWORD"
may ses-topics --operation Create --topic ses-events
may ses-topics --operation Create --topic ses-events-dlq
may ses-topics --operation Create --topic ses-erasures
may ses-topics --operation Create --topic api-keys

# python -m ingest
user ses-ingest "$SES_INGEST_PASSWORD"
may ses-ingest --operation Write --topic ses-events

# python -m aggregator, the worker
user ses-worker "$SES_WORKER_PASSWORD"
may ses-worker --operation Read --topic ses-events
may ses-worker --operation Read --group aggregator
may ses-worker --operation Write --topic ses-events-dlq
may ses-worker --operation Read --topic ses-erasures

# python -m api
user ses-api "$SES_API_PASSWORD"
may ses-api --operation Read --topic api-keys
may ses-api --operation Write --topic api-keys

# python -m api keys. Whoever may write api-keys opens every tenant.
user ses-keys "$SES_KEYS_PASSWORD"
may ses-keys --operation Read --topic api-keys
may ses-keys --operation Write --topic api-keys

# python -m aggregator rebuild
user ses-rebuild "$SES_REBUILD_PASSWORD"
may ses-rebuild --operation Read --topic ses-events
may ses-rebuild --operation Read --group aggregator
may ses-rebuild --operation Read --group aggregator-rebuild- --resource-pattern-type prefixed
may ses-rebuild --operation Write --topic ses-events-dlq
may ses-rebuild --operation Read --topic ses-erasures

# python -m aggregator verify, and audit
user ses-verify "$SES_VERIFY_PASSWORD"
may ses-verify --operation Read --topic ses-events
may ses-verify --operation Read --topic ses-erasures

# python -m aggregator erase. Whoever may write ses-erasures takes any tenant's numbers away, for good.
user ses-erase "$SES_ERASE_PASSWORD"
may ses-erase --operation Read --topic ses-events
may ses-erase --operation Read --topic ses-erasures
may ses-erase --operation Write --topic ses-erasures

# python -m aggregator dead-letters: list and show take Read, redrive Write too, purge Delete too
user ses-letters "$SES_LETTERS_PASSWORD"
may ses-letters --operation Read --topic ses-events-dlq
may ses-letters --operation Write --topic ses-events
may ses-letters --operation Delete --topic ses-events-dlq
