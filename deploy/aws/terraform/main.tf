# The way of SES's events to the webhook of ses-metrics, as ../ses-metrics.yaml makes it: a configuration set, its SNS
# topic, the subscription, and the queue for what could not be delivered. A test holds that both make the same. Start
# ingest with the topic's ARN in SNS_TOPIC_ARNS first: the subscription is confirmed as it is made.

data "aws_caller_identity" "here" {}

resource "aws_sns_topic" "events" {
  name              = var.name
  signature_version = 2 # SHA-256
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "SesPublishesWhatThisConfigurationSetTells"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.events.arn]

    principals {
      type        = "Service"
      identifiers = ["ses.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "AWS:SourceAccount"
      values   = [data.aws_caller_identity.here.account_id]
    }

    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_sesv2_configuration_set.mail.arn]
    }
  }
}

resource "aws_sns_topic_policy" "events" {
  arn    = aws_sns_topic.events.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 1209600 # 14 days, the most that there is, and as long as a repeated event is known
  sqs_managed_sse_enabled   = true
}

data "aws_iam_policy_document" "queue" {
  statement {
    sid       = "TheTopicPutsThereWhatItCouldNotDeliver"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.undelivered.arn]

    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.events.arn]
    }
  }

  dynamic "statement" {
    for_each = var.redrive_principal == "" ? [] : [var.redrive_principal]

    content {
      sid = "WhoRedrivesEmptiesIt"
      actions = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
      ]
      resources = [aws_sqs_queue.undelivered.arn]

      principals {
        type        = "AWS"
        identifiers = [statement.value]
      }
    }
  }
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.url
  policy    = data.aws_iam_policy_document.queue.json
}

resource "aws_sns_topic_subscription" "webhook" {
  topic_arn              = aws_sns_topic.events.arn
  protocol               = "https"
  endpoint               = var.webhook_url
  endpoint_auto_confirms = true  # ingest does, and Terraform waits for it
  raw_message_delivery   = false # a raw message is not signed

  delivery_policy = jsonencode({ # as in deploy/sns-delivery-policy.json: 60 more tries in 58 minutes
    healthyRetryPolicy = {
      numRetries         = 60
      numNoDelayRetries  = 0
      minDelayTarget     = 20
      numMinDelayRetries = 3
      maxDelayTarget     = 60
      numMaxDelayRetries = 57
      backoffFunction    = "linear"
    }
  })
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.undelivered.arn })

  depends_on = [aws_sqs_queue_policy.undelivered]
}

resource "aws_sesv2_configuration_set" "mail" {
  configuration_set_name = var.name
}

resource "aws_sesv2_configuration_set_event_destination" "topic" {
  configuration_set_name = aws_sesv2_configuration_set.mail.configuration_set_name
  event_destination_name = "${var.name}-events"

  event_destination {
    enabled = true
    matching_event_types = [
      "SEND",
      "DELIVERY",
      "DELIVERY_DELAY",
      "BOUNCE",
      "COMPLAINT",
      "REJECT",
      "RENDERING_FAILURE",
      "OPEN",
      "CLICK",
      "SUBSCRIPTION",
    ]

    sns_destination {
      topic_arn = aws_sns_topic.events.arn
    }
  }

  depends_on = [aws_sns_topic_policy.events] # SES publishes a message when it is made
}
