-- Cohorts: of the mail that was sent in a week, what was opened and clicked within 24 and within 72 hours of its
-- own send, and ever.
--
-- Sent counts recipients, opened and clicked count messages, each once. The last three days are not complete.
-- `sent` is the API's for that week; `opened` and `clicked` add up to the API's totals over all time. (There they
-- stand in the week of the open, here in the week of the send.)
SELECT
  tenant,
  date_trunc('week', sent_time) AS sent_week,
  count(*) FILTER (field = 'sent') AS sent,
  count(*) FILTER (field = 'opened' AND first_time <= sent_time + INTERVAL 24 HOURS) AS opened_24h,
  count(*) FILTER (field = 'opened' AND first_time <= sent_time + INTERVAL 72 HOURS) AS opened_72h,
  count(*) FILTER (field = 'opened') AS opened,
  count(*) FILTER (field = 'clicked' AND first_time <= sent_time + INTERVAL 24 HOURS) AS clicked_24h,
  count(*) FILTER (field = 'clicked' AND first_time <= sent_time + INTERVAL 72 HOURS) AS clicked_72h,
  count(*) FILTER (field = 'clicked') AS clicked
FROM first_told
WHERE field IN ('sent', 'opened', 'clicked')
GROUP BY ALL
ORDER BY ALL;
