"""The metrics API: reads hourly counters from Redis, adds them up, and answers whoever holds a key.

Its rooms, each above those that it uses: `app` puts all together; `page` is what a browser is served;
`http` takes a request to its response; `sharing` says what one caller may have of us; `keys` says who asks,
`counters` reads Redis, and `query` is pure: what was asked, and what hours add up to. `senders` looks at the
health of all tenants for who runs this; `sender_health` is the rule.
"""
