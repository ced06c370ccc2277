-- For queries of your own, over what the law says (aggregator/proof/law.sql):
--   stated      what each event tells, as often as it is told: its columns are those of schemas/archive.py, and
--               tenant, ids (of the scopes, in their order), day of the send, field, recipient
--   first_told  each fact once, as it counts: `first_time` is the earliest that any event says, and what else
--               stands there is of the event that says it. All times are UTC.
--   id_of       the id that a fact has in a scope: id_of(ids, 'template')
CREATE OR REPLACE TEMP VIEW first_told AS
SELECT tenant, ids, day, message_id, recipient, field, sent_time, first_time, unnest(telling)
FROM (
  SELECT tenant, ids, day, message_id, recipient, field,
    make_timestamp_ms(min(sent_ms)) AS sent_time, make_timestamp_ms(min(fact_ms)) AS first_time,
    arg_min(
      {bounce_type: bounce_type, bounce_sub_type: bounce_sub_type, by_machine: by_machine, user_agent: user_agent},
      (fact_ms, record_ms, partition, "offset")
    ) AS telling
  FROM stated GROUP BY tenant, ids, day, message_id, recipient, field
);
CREATE OR REPLACE TEMP MACRO id_of(ids, scope) AS ids[list_position(getvariable('scopes'), scope) - 1];
