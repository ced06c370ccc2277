-- Unique opens by campaign and week: messages that were opened, each once, in the week of its first open.
--
-- In: `scope`, the name of one of your SCOPE_TAGS, or sequence or template.
-- Weeks begin on Monday, 00:00 UTC. By people: without what SES or our table calls a machine.
-- The API says the same: /api/metrics/by/SCOPE/ID?period=week&fields=opened,opened_human
SELECT
  tenant,
  id_of(ids, getvariable('scope')) AS id,
  date_trunc('week', first_time) AS week,
  count(*) FILTER (field = 'opened') AS opened,
  count(*) FILTER (field = 'opened_human') AS opened_human
FROM first_told
WHERE field IN ('opened', 'opened_human') AND id IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
