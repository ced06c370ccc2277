"""What one caller may have of us, so that no tenant waits for another's queries.

Lives here: what a query costs (`costs`, pure); how much queries may cost a key in a window (`rate_limit`);
what a tenant may have under way, and when long work goes on (`work`), with tenants in turns (`turns`).
Does not: the work itself, which is `api.counters`' and `api.query`'s; they know of it by `api.counters.pace`.
The way through: a query -> `costs` -> `work` -> its steps, each in its turn -> `rate_limit`.
"""
