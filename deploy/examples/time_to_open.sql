-- How long it takes from the send to the first open by a person, by tenant: hours until a quarter, half and
-- nine in ten of all opened messages were opened.
--
-- Each message counts once. SES reports opens for 60 days, so the last two months are not complete yet.
-- `opened_human` is the API's total over all time; how long it took the API does not say.
SELECT
  tenant,
  count(*) AS opened_human,
  quantile_cont(epoch_ms(first_time) - epoch_ms(sent_time), [0.25, 0.5, 0.9]) AS ms,
  list_transform(ms, lambda each: round(each / 3600000, 2)) AS hours
FROM first_told
WHERE field = 'opened_human'
GROUP BY tenant
ORDER BY tenant;
