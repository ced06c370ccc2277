"""The settings of ingest."""

from typing import Annotated

from pydantic import DirectoryPath, Field, field_validator
from pydantic_settings import NoDecode

from ingest.sns import messages
from schemas.shared.settings import EventsSettings, Processes, ServerSettings


class IngestSettings(EventsSettings, ServerSettings):
    """What the environment sets of ingest.

    A certificate that is found in `SNS_CERTIFICATE_DIR` is used and nothing is fetched for it. One that is
    missing there is fetched from SNS as ever, or the yearly change of SNS's certificate would stop a site
    that pinned the old one. A site without a way out answers 503 then, until the file is there. Confirming a
    subscription is a call to SNS by its nature, pinned certificates or not.
    """

    sns_topic_arns: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="SNS topics whose messages are taken, comma-separated; none: every message is refused",
    )
    sns_certificate_dir: DirectoryPath | None = Field(
        default=None,
        description="folder of pinned signing certificates, SimpleNotificationService-<32 hex digits>.pem",
    )
    ingest_port: int = Field(default=8081, ge=1, le=65535, description="TCP port to listen on")
    ingest_processes: Processes = 1

    @field_validator("sns_topic_arns", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [arn.strip() for arn in value.split(",") if arn.strip()] if isinstance(value, str) else value

    @field_validator("sns_topic_arns")
    @classmethod
    def _are_topics(cls, arns: frozenset[str]) -> frozenset[str]:
        for arn in arns:
            messages.region_of(arn)
        return arns
