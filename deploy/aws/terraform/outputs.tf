output "topic_arn" {
  description = "For SNS_TOPIC_ARNS of ingest."
  value       = aws_sns_topic.events.arn
}

output "configuration_set" {
  description = "To be named by whatever sends mail."
  value       = aws_sesv2_configuration_set.mail.configuration_set_name
}

output "dead_letter_queue_url" {
  description = "For python -m deploy.redrive --queue, and for an alarm on ApproximateNumberOfMessagesVisible."
  value       = aws_sqs_queue.undelivered.url
}
