"""The aggregator's settings: environment variables."""

from typing import Annotated, Final, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from aggregator.counting.decode import ID_MAX_BYTES
from aggregator.counting.facts import RECIPIENT_KEY_BYTES
from aggregator.counting.rules import Rules
from schemas.archive import ALWAYS_DROPPED
from schemas.counters import LANES, LANES_MAX, TENANT
from schemas.shared.settings import MetricsSettings, RedisSettings, TopicsSettings

TagName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9_.:@-]{1,255}\z")]
"""What SES lets a message tag be called, and the names of its own tags (`ses:...`)."""


ScopeName = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]{0,31}\z")]

SEQUENCE, TEMPLATE = "sequence", "template"
"""The scopes of the metrics page; `SCOPE_TAGS` names further ones."""

SCOPES_MAX: Final = 6
"""Further scopes: each of them is another counter for each mail."""

_SCOPE_TAG: Final = TypeAdapter(tuple[ScopeName, TagName])


def _read_scope_tags(text: object) -> object:
    """`name=tag,name=tag`, in the order of the names, so that the order of writing decides nothing."""
    if not isinstance(text, str):
        return text
    found: dict[str, str] = {}
    for pair in text.split(","):
        name, _, tag = pair.partition("=")
        try:
            _SCOPE_TAG.validate_python((name.strip(), tag.strip()))
        except ValidationError:
            raise ValueError(
                f"{pair!r} is no name=tag: names are like [a-z][a-z0-9_]{{0,31}}, tags as SES takes them"
            ) from None
        if name.strip() in (TENANT, SEQUENCE, TEMPLATE, *found):
            raise ValueError(f"the scope {name.strip()} is there already")
        found[name.strip()] = tag.strip()
    if len(found) > SCOPES_MAX:
        raise ValueError(f"at most {SCOPES_MAX} further scopes")
    return tuple(sorted(found.items()))


def _read_names(text: object) -> object:
    """`name,name`."""
    if not isinstance(text, str):
        return text
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _read_hex(text: object) -> object:
    """Hex digits as bytes. The value is never quoted."""
    if not isinstance(text, str):
        return text
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError("no hex digits") from None


class AggregatorSettings(TopicsSettings, RedisSettings, MetricsSettings):
    """Where Kafka and Redis are, the group's name, and the rules of counting.

    A change of `*_TAG`, `SCOPE_TAGS`, `DEFAULT_TENANT` or `RECIPIENT_KEY` changes the rules: it takes a new
    generation (`rebuild`).
    """

    consumer_group: str = Field(default="aggregator", description="the consumer group of the workers")
    aggregator_port: int = Field(default=8082, ge=0, le=65535, description="of /readyz; 0: any free one")
    default_tenant: str | None = Field(default=None, description="of events without a tenant tag")
    tenant_tag: TagName = Field(default="tenant", description="SES message tag that names the tenant")
    sequence_tag: TagName = Field(default=SEQUENCE, description="SES message tag that names the sequence")
    template_tag: TagName = Field(default=TEMPLATE, description="SES message tag that names the template")
    scope_tags: Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_read_scope_tags)] = Field(
        default=(),
        description=f"further scopes to count for, at most {SCOPES_MAX}: name=tag,name=tag, as"
        " campaign=campaign,isp=ses:recipient-isp",
    )
    recipient_key: Annotated[bytes, BeforeValidator(_read_hex)] = Field(
        default=b"",
        repr=False,
        description="secret with which addresses are hashed: hex, 16 to 64 bytes; none: without one",
    )
    ids_warning: int = Field(
        default=100_000,
        ge=1,
        description="a scope with so many ids of one tenant is warned of: a tag that is unique to each mail"
        " fills Redis for ever",
    )

    archive_url: str = Field(
        default="",
        description="where the archive's files are: file:///..., s3://..., what pyarrow knows; none: all"
        " history is in the topic",
    )

    lanes: int = Field(
        default=LANES,
        ge=1,
        le=LANES_MAX,
        description="of the first generation; one that is there keeps its own (the next: `rebuild --lanes`)",
    )

    @field_validator("default_tenant")
    @classmethod
    def _can_be_a_tenant(cls, tenant: str | None) -> str | None:
        try:
            if tenant is not None and len(tenant.encode()) > ID_MAX_BYTES:
                raise ValueError(f"longer than {ID_MAX_BYTES} bytes")
        except UnicodeEncodeError:
            raise ValueError("not UTF-8") from None
        return tenant

    @field_validator("recipient_key")
    @classmethod
    def _is_a_key(cls, key: bytes) -> bytes:
        if key and not RECIPIENT_KEY_BYTES[0] <= len(key) <= RECIPIENT_KEY_BYTES[1]:
            least, most = RECIPIENT_KEY_BYTES
            raise ValueError(f"it takes {least} to {most} bytes, so twice as many hex digits")
        return key

    @model_validator(mode="after")
    def _tags_differ(self) -> Self:
        tags = self.rules.tags
        if len(set(tags)) < len(tags):
            raise ValueError("TENANT_TAG, SEQUENCE_TAG, TEMPLATE_TAG and those of SCOPE_TAGS must differ")
        return self

    @property
    def rules(self) -> Rules:
        """The rules of counting."""
        return Rules(
            self.tenant_tag,
            ((SEQUENCE, self.sequence_tag), (TEMPLATE, self.template_tag), *self.scope_tags),
            self.default_tenant,
            self.recipient_key,
        )


class ArchiveSettings(AggregatorSettings):
    """Those of the worker, and how the archive's files are cut.

    Of the rules an archive takes `RECIPIENT_KEY`, and where a tenant is erased `TENANT_TAG` and
    `DEFAULT_TENANT`.
    """

    archive_file_mb: int = Field(default=128, ge=1, description="a file ends when it is so large")
    archive_file_minutes: float = Field(
        default=60, gt=0, le=720, description="or when its first record was read so long ago"
    )
    archive_drop_tags: Annotated[frozenset[str], NoDecode, BeforeValidator(_read_names)] = Field(
        default=frozenset(),
        description="names of tags that are not kept, separated by commas; ses:source-ip and"
        " ses:outgoing-ip never are",
    )
    archive_port: int = Field(default=8084, ge=0, le=65535, description="of /metrics; 0: any free one")

    @model_validator(mode="after")
    def _no_rule_needs_what_is_dropped(self) -> Self:
        needed = sorted((self.archive_drop_tags | ALWAYS_DROPPED).intersection(self.rules.tags))
        if needed:
            raise ValueError(
                f"{', '.join(needed)}: counting needs this tag, and the archive would not keep it"
            )
        return self


class ProofSettings(AggregatorSettings):
    """Those of the worker, and what counting the log again may take."""

    recount_memory_mb: int = Field(
        default=256,
        ge=128,
        description="memory of `verify` and `audit` for facts, in MiB; the rest goes to files in TMPDIR",
    )


class AuditSettings(ProofSettings):
    """Those of a recount, and what `audit` does beside the worker."""

    audit_port: int = Field(default=8083, ge=0, le=65535, description="of /metrics; 0: any free one")
    audit_interval_s: int = Field(default=3600, ge=1, description="the pause between two audits")
    audit_tenant_days: int = Field(default=10, ge=1, description="how many days of a tenant are drawn")
    audit_oldest_days: int = Field(
        default=30, ge=0, description="no older day is drawn (63 more of the log are read); 0: any day"
    )
