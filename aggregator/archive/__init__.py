"""The archive: the log for years, without the addresses, as Parquet files that anybody may query.

Lives here: what is kept of a record (`slim`) and what that states under any rules (`restore`).
Does not: how a record of the topic is fetched, which is the log's room; the law of counting, which `counting`
has once for the topic and the archive.
The way through: record -> `slim`. And back: slim event -> `restore` -> what `counting` has of a record of the
topic.
"""
