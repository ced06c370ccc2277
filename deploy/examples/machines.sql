-- The machines that open most: of each tenant the twenty user agents behind the most messages that a machine
-- opened and no person ever did.
--
-- Each such message counts once, for the machine that came first. Where a tenant has no more than twenty, they
-- add up to what the API calls `opened` less `opened_human`.
SELECT tenant, user_agent, count(*) AS opened_by_no_person
FROM first_told AS opens
WHERE field = 'opened' AND NOT EXISTS (
  FROM first_told AS people
  WHERE people.field = 'opened_human' AND people.tenant = opens.tenant AND people.ids = opens.ids
    AND people.day = opens.day AND people.message_id = opens.message_id
)
GROUP BY tenant, user_agent
QUALIFY row_number() OVER (PARTITION BY tenant ORDER BY opened_by_no_person DESC, user_agent) <= 20
ORDER BY tenant, opened_by_no_person DESC, user_agent;
