"""The demo's mail: three made-up tenants, 90 days of their past, and what they send from now on.

Lives here: who sends what and when (`senders`, `plan`), what becomes of it in the course of time
(`timeline`), and the program that reports it as SES and SNS do: the past to the events topic with record
times of its own (`past`), the present to the webhook (`sns`). `make run` starts it (`python -m deploy.demo`).
Does not: count, or know any number. What becomes of one mail is `deploy.letters`, and SNS's duplicates and
disorder are `deploy.disorder`: tests use those too.
The way through: a mailing of `senders` -> the plan's letters of a day -> the timeline's events, in the order
of their times -> `past` or `sns`.

The past is a pure function of a seed and of the day on which the demo was first started: same mails, same
message ids. So what is sent twice (by a run after one that was killed) counts once, by the law of counting.
"""
