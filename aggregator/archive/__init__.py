"""The archive: the log for years, without the addresses, as Parquet files that anybody may query.

Lives here: what is kept of a record (`slim`) and what that states under any rules (`restore`); its columns
(`columns`), files (`file_writer`, `store`) and what they cover by their names (`coverage`); who writes them
(`archiver`, in `process`), merges small ones (`merge`), deletes from the topic what they hold (`trim`) and
tells whether all are there and agree (`check`).
Does not: how a record of the topic is fetched, which is the log's room; the law of counting, which `counting`
has once for the topic and the archive; what the columns mean, which `schemas.archive` says.
The way through: the log -> `archiver` (`slim` for each record) -> `columns` -> `file_writer` -> `store`. And
back: slim event -> `restore` -> what `counting` has of a record of the topic.
"""
