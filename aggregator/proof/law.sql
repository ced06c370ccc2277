-- The law of counting once more: slim events in, cells out. DuckDB runs it and needs no extension for it.
--
-- It shares nothing with live counting but the slim events, whose columns schemas/archive.py explains. In:
--   slim          these events in any order, their tags as a list of key and value (`map_entries`); one that is
--                 there twice tells the same facts again: nothing more
--   checkpoints   (tenant, partition, checkpoint): of a tenant only what is below its checkpoints counts; where
--                 no row speaks of it, only what is below the variable `unlisted`
--   erasures      (tenant, through): an event of the tenant whose record is not later states nothing. (Of one that
--                 the archive has erased nothing is left but the reason, so it states nothing either.)
-- Data, not logic, is made of schemas/kinds.py, schemas/machines.py and the settings (aggregator/proof/law.py):
--   kinds         (field, type, per_message, by_people, late_ms, stale_ms, conditions), a row for each kind
--   variables     scopes and tags (the tenant's first), default_tenant, future_ms, machines
-- Out: `cells`, the number of each cell that is not 0, and a 1 for each id that is known. Times are in ms.
-- Who takes the events in bit by bit keeps the facts of each bit, in a table in the place of the view `told`; and
-- who has little memory does one step after the other, with tables in the place of `counted`, `scoped` and `known`.

-- Of tags that are lists of texts, what each tag of the rules says: its first text, if any.
CREATE OR REPLACE TEMP MACRO said_by(tags) AS list_transform(getvariable('tags'),
  lambda tag: nullif(list_filter(tags, lambda each: each.key = tag)[1].value[1], ''));

-- Events with a tag that is no list of texts: one that the rules name refuses its event, but for "". Of equal
-- names the last one counts. Wherever the rules look, a number that fits no double makes the event unreadable.
CREATE OR REPLACE TEMP VIEW odd AS
WITH places AS (
  SELECT odd_tags, json_extract(odd_tags, ['$.mail.tags', '$.detail.mail.tags']) AS either,
    json_exists(odd_tags, '$.detail') AND NOT json_exists(odd_tags, '$.eventType') AS wrapped,
    either[if(wrapped, 2, 1)] AS tags
  FROM (SELECT DISTINCT odd_tags FROM slim WHERE odd_tags IS NOT NULL)
), named AS (
  SELECT odd_tags, key, arg_max(value, id) AS value, json_type(arg_max(value, id)) = 'ARRAY' AS listed
  FROM places, json_each(places.tags) WHERE key IN getvariable('tags') GROUP BY odd_tags, key
), unreadable AS (
  SELECT odd_tags
  FROM (SELECT odd_tags, unnest(either) AS place FROM places), json_each(place), json_tree(value) AS part
  WHERE (json_type(place) <> 'OBJECT' OR json_each.key IN getvariable('tags'))
    AND part.type = 'DOUBLE' AND isinf(try_cast(part.atom AS DOUBLE))
)
SELECT odd_tags,
  said_by(list({key: key, value: if(listed, try_cast(value AS VARCHAR[]), [])}) FILTER (key IS NOT NULL)) AS odd_named,
  odd_tags IN (FROM unreadable) OR any_value(json_type(places.tags)) <> 'OBJECT' OR bool_or(
    if(listed, len(list_filter(json_type(value, '$[*]'), lambda of: of <> 'VARCHAR')) > 0, value <> '""')
  ) AS refused
FROM places LEFT JOIN named USING (odd_tags) GROUP BY odd_tags;

-- What each event tells, with all that it says beside: a row for each kind and each recipient, or for the message.
CREATE OR REPLACE TEMP VIEW stated AS
WITH tagged AS (
  SELECT slim.*, coalesce(odd_named, said_by(tags)) AS named
  FROM slim LEFT JOIN odd USING (odd_tags)
  WHERE reason IS NULL AND message_id IS NOT NULL AND sent_time IS NOT NULL AND event_time IS NOT NULL
    AND refused IS NOT TRUE
), mails AS (
  SELECT tagged.*,
    coalesce(named[1], getvariable('default_tenant')) AS tenant, named[2:] AS ids,
    epoch_ms(record_time) AS record_ms, epoch_ms(sent_time) AS sent_ms,
    greatest(sent_ms, epoch_ms(event_time)) AS fact_ms,
    CASE WHEN is_bot_event IS NOT NULL THEN is_bot_event = getvariable('machines').likely
      WHEN user_agent IS NULL THEN false
      ELSE user_agent IN getvariable('machines').whole
        OR len(list_filter(getvariable('machines').endings, lambda text: suffix(user_agent, text))) > 0
        OR len(list_filter(getvariable('machines').parts, lambda text: contains(user_agent, text))) > 0
    END AS by_machine
  FROM tagged
  WHERE len(list_filter(named, lambda id: strlen(id) > 255)) = 0 AND tenant IS NOT NULL
), gone AS (
  SELECT tenant, max(through) AS through FROM erasures GROUP BY tenant
)
SELECT mails.*, floor(sent_ms / 86400000)::BIGINT AS day, field,
  unnest(if(per_message, [NULL], recipients)) AS recipient
FROM mails JOIN kinds USING (type) LEFT JOIN gone USING (tenant)
WHERE (through IS NULL OR record_ms > through)
  AND record_ms - sent_ms <= stale_ms AND fact_ms - record_ms <= getvariable('future_ms')
  AND fact_ms - sent_ms <= late_ms AND NOT (by_people AND by_machine)
  AND len(list_filter(conditions, lambda each: each.among <> coalesce(list_contains(each.values, CASE each.named
      WHEN 'bounce_type' THEN bounce_type WHEN 'bounce_sub_type' THEN bounce_sub_type
      WHEN 'complaint_feedback_type' THEN complaint_feedback_type
      WHEN 'unsubscribe_all' THEN unsubscribe_all::VARCHAR END), false))) = 0;

-- Of that what is counted.
CREATE OR REPLACE TEMP VIEW facts AS
SELECT partition, "offset", tenant, ids, day, message_id, recipient, field,
  floor(fact_ms / 900000)::BIGINT * 900000 AS at_ms
FROM stated;

CREATE OR REPLACE TEMP VIEW told AS FROM facts;

-- Each fact counts once, at the least quarter of an hour told of it.
CREATE OR REPLACE TEMP VIEW once AS
SELECT tenant, ids, field, min(at_ms) AS at_ms
FROM told LEFT JOIN checkpoints USING (tenant, partition)
WHERE "offset" < coalesce(checkpoint, getvariable('unlisted'))
GROUP BY tenant, ids, day, message_id, recipient, field;

CREATE OR REPLACE TEMP VIEW counted AS FROM once;

-- It counts for its tenant and each id that it has.
CREATE OR REPLACE TEMP VIEW by_scope AS
SELECT tenant, unnest(getvariable('scopes')) AS scope, unnest([''] || ids) AS id, at_ms, field, count(*) AS n
FROM counted GROUP BY tenant, ids, at_ms, field;

CREATE OR REPLACE TEMP VIEW scoped AS FROM by_scope;

-- The ids that anything counts for.
CREATE OR REPLACE TEMP VIEW by_id AS SELECT DISTINCT tenant, scope, id FROM scoped WHERE id <> '';

CREATE OR REPLACE TEMP VIEW known AS FROM by_id;

-- What adds up to the cells: some of them stand in several rows.
CREATE OR REPLACE TEMP VIEW parts AS
SELECT tenant, scope, id, at_ms, field, n FROM scoped WHERE id IS NOT NULL
UNION ALL
SELECT tenant, scope, id, NULL, 'known', 1 FROM known;

CREATE OR REPLACE TEMP VIEW cells AS
SELECT tenant, scope, id, at_ms, field, sum(n)::BIGINT AS n FROM parts GROUP BY ALL;
