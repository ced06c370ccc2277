"""The webhook: takes Amazon SES events from SNS, proves that SNS signed them, and writes them to Kafka.

Its rooms, each above those that it uses: `http` takes a delivery from its first byte to the answer, `log`
keeps it in Kafka, `sns` says whether it is from SNS, and of a topic of ours.
"""
