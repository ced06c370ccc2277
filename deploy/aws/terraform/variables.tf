variable "webhook_url" {
  description = "Where SNS reaches ingest, with a certificate that a public CA has signed."
  type        = string

  validation {
    condition     = can(regex("^https://[^/@]+/webhooks/sns$", var.webhook_url))
    error_message = "It must be https://YOUR-HOST/webhooks/sns."
  }
}

variable "name" {
  description = "Of the configuration set and the topic; the queue's begins with it. Mails are sent with this configuration set."
  type        = string
  default     = "ses-metrics"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "It must have 1 to 50 letters, digits, hyphens and underscores."
  }
}

variable "redrive_principal" {
  description = "ARN of the IAM role or user that runs python -m deploy.redrive, which may then read and empty the queue. Empty for nobody but those to whom IAM gives it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/.+)?$", var.redrive_principal))
    error_message = "It must be the ARN of a role or a user, or empty."
  }
}
