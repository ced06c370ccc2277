"""The history: the records of the events topic, as far as the archive and the topic still have them.

Lives here: which of both has which offsets, and what neither has (`spans`); the files of one topic (`files`);
what their rows say under some rules (`readings`); and the one reader over both (`reader`), for `rebuild`,
`verify`, `audit` and `catch-up`.
Does not: how files are written, named and checked, which is the archive's room; how Kafka is read, which is
the log's; what is counted.
The way through: offsets -> `reader` -> rows of the archive, then records of the topic -> slim batches, or
readings.
"""
