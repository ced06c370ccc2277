"""The webhook: takes Amazon SES events from SNS, proves that SNS signed them, and writes them to Kafka.

One request goes through `webhook` (take, judge, act), which asks `sns` (pure: is this from SNS, and ours?),
`certificates` (who signed?), `record` (pure: what is stored?) and `publish` (has Kafka got it?).
"""
