"""A release: `make release` builds all that is handed out of one commit, with its checksums.

Lives here: where the version stands (`versions`: `pyproject.toml` says it, `make versions` carries it to the
rest); what must hold before anything is built (`readiness`); how each thing is built (`artifacts`).
Does not: publish, tag or sign anything.
The way through: the last commit -> `readiness` -> a copy of its files, built by the tools that users know
(hatchling, npm, helm, cyclonedx-py, Docker) -> `dist/ses-metrics-VERSION/` and its `SHA256SUMS`.
"""
