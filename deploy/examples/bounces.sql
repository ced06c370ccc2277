-- Bounced recipients by reason and by who received, as SES groups it: Gmail, Yahoo, and so on. No domain is
-- asked for: the archive has none.
--
-- In: `scope`, the name of the scope that names the receiving side; SCOPE_TAGS=isp=ses:recipient-isp has it.
-- Events without that tag stand in the row without an id.
-- A recipient of a message counts once, with the reason that came first: so the rows add up to the API's
-- `bounced`. (`bounced_soft` and `bounced_hard` there are facts of their own; a recipient may be both.)
SELECT
  tenant,
  id_of(ids, getvariable('scope')) AS provider,
  bounce_type,
  bounce_sub_type,
  count(*) AS bounced
FROM first_told
WHERE field = 'bounced'
GROUP BY ALL
ORDER BY tenant, bounced DESC, provider, bounce_type, bounce_sub_type;
