"""The questions of the client to be awaited; `kraiter.exchange` says how they are asked."""

from collections.abc import AsyncIterator
from typing import Protocol, Unpack, overload

from kraiter.counts import Field
from kraiter.exchange import Exchange, Questions, Result
from kraiter.questions import (
    PAGE_LARGEST,
    Fields,
    MetricsFieldsParameters,
    MetricsKeywords,
    MetricsParameters,
    PageParameters,
    Scope,
    ScopeFieldsParameters,
    ScopeKeywords,
    ScopeParameters,
)
from kraiter.results import Glossary, KnownIds, Metrics


class AsyncRun(Protocol):
    """Does what an exchange says, until it has its result."""

    async def __call__(self, exchange: Exchange[Result]) -> Result:
        """Raises: KraiterError."""


class AsyncMetricsMethods:
    """The questions; each takes a dict, keywords, or both. Raises: KraiterError where there is no answer.

    With `fields` a checker knows all of them (`Metrics[Field]`), else the page's six (`Metrics`).
    """

    def __init__(self, questions: Questions, run: AsyncRun) -> None:
        self._questions = questions
        self._run = run

    @overload
    async def get(
        self,
        parameters: MetricsParameters | None = None,
        *,
        fields: Fields,
        **keywords: Unpack[MetricsKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def get(
        self,
        parameters: MetricsFieldsParameters,
        *,
        fields: None = None,
        **keywords: Unpack[MetricsKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def get(
        self,
        parameters: MetricsParameters | None = None,
        *,
        fields: None = None,
        **keywords: Unpack[MetricsKeywords],
    ) -> Metrics: ...
    async def get(
        self,
        parameters: MetricsParameters | MetricsFieldsParameters | None = None,
        *,
        fields: Fields | None = None,
        **keywords: Unpack[MetricsKeywords],
    ) -> Metrics[Field]:
        """The numbers of the whole tenant."""
        asked = self._questions.metrics(parameters=parameters, keywords={**keywords, "fields": fields})
        return await self._run(asked)

    @overload
    async def sequence(
        self,
        sequence_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: Fields,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def sequence(
        self,
        sequence_id: str,
        parameters: ScopeFieldsParameters,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def sequence(
        self,
        sequence_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics: ...
    async def sequence(
        self,
        sequence_id: str,
        parameters: ScopeParameters | ScopeFieldsParameters | None = None,
        *,
        fields: Fields | None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]:
        """The numbers of one sequence."""
        asked = self._questions.metrics(
            "sequences", sequence_id, parameters=parameters, keywords={**keywords, "fields": fields}
        )
        return await self._run(asked)

    @overload
    async def template(
        self,
        template_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: Fields,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def template(
        self,
        template_id: str,
        parameters: ScopeFieldsParameters,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def template(
        self,
        template_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics: ...
    async def template(
        self,
        template_id: str,
        parameters: ScopeParameters | ScopeFieldsParameters | None = None,
        *,
        fields: Fields | None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]:
        """The numbers of one template."""
        asked = self._questions.metrics(
            "templates", template_id, parameters=parameters, keywords={**keywords, "fields": fields}
        )
        return await self._run(asked)

    @overload
    async def by(
        self,
        scope: Scope,
        scope_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: Fields,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def by(
        self,
        scope: Scope,
        scope_id: str,
        parameters: ScopeFieldsParameters,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]: ...
    @overload
    async def by(
        self,
        scope: Scope,
        scope_id: str,
        parameters: ScopeParameters | None = None,
        *,
        fields: None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics: ...
    async def by(
        self,
        scope: Scope,
        scope_id: str,
        parameters: ScopeParameters | ScopeFieldsParameters | None = None,
        *,
        fields: Fields | None = None,
        **keywords: Unpack[ScopeKeywords],
    ) -> Metrics[Field]:
        """The numbers of one id of any scope, such as one campaign."""
        asked = self._questions.metrics(
            "by", scope, scope_id, parameters=parameters, keywords={**keywords, "fields": fields}
        )
        return await self._run(asked)

    async def sequences(
        self, parameters: PageParameters | None = None, **keywords: Unpack[PageParameters]
    ) -> KnownIds:
        """A page of the known sequences."""
        return await self._run(self._questions.ids("sequences", parameters=parameters, keywords=keywords))

    async def templates(
        self, parameters: PageParameters | None = None, **keywords: Unpack[PageParameters]
    ) -> KnownIds:
        """A page of the known templates."""
        return await self._run(self._questions.ids("templates", parameters=parameters, keywords=keywords))

    async def ids(
        self, scope: Scope, parameters: PageParameters | None = None, **keywords: Unpack[PageParameters]
    ) -> KnownIds:
        """A page of the known ids of any scope."""
        return await self._run(self._questions.ids("by", scope, parameters=parameters, keywords=keywords))

    async def all_ids(self, scope: Scope) -> AsyncIterator[str]:
        """All known ids of a scope, page after page; the first page is asked for with the first id."""
        cursor: str | None = None
        while True:
            page = await self.ids(scope, limit=PAGE_LARGEST, cursor=cursor)
            for known in page.items:
                yield known.id
            cursor = page.next_cursor
            if cursor is None:
                return

    async def scopes(self) -> KnownIds:
        """The scopes that are counted: `sequence`, `template` and further ones."""
        return await self._run(self._questions.ids("by", parameters=None, keywords={}))

    async def fields(self) -> Glossary:
        """What each field counts, the formula of its rate, and how health is judged."""
        return await self._run(self._questions.glossary())
