"""A fake Prolific's API for the account, workspaces, projects, money, groups, messages and webhooks."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from starlette.requests import Request
from starlette.responses import Response

from ..clock import iso_time
from ..wire import Endpoint, FakeRefusalError, needs, read_body, write_answer
from . import documents, schema
from .books import RESEARCHER, WORKSPACE, FakeGroup, FakeHook, with_fees
from .guesses import ProlificGuess
from .replies import paged
from .site import FakeProlific
from .studies import MIN_HOURLY_CENTS

EVENT_TYPES = ("study.status.change", "study.progress.change", "submission.status.change", "study.has_high_return_rate")
RECOMMENDED_HOURLY_CENTS = 1200


class AccountsApi:
    """Answers calls about everything but studies and submissions."""

    def __init__(self, site: FakeProlific) -> None:
        """Keep the site."""
        self._site = site
        self._books = site.ledger

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        """Return method, path and answer of each call."""
        group = "/api/v1/participant-groups/{group}"
        return [
            ("GET", "/api/v1/users/me/", self._me),
            ("GET", "/api/v1/workspaces/", self._workspaces),
            ("POST", "/api/v1/workspaces/", self._create_workspace),
            ("GET", "/api/v1/workspaces/{workspace}/balance/", self._balance),
            ("GET", "/api/v1/workspaces/{workspace}/projects/", self._projects),
            ("POST", "/api/v1/workspaces/{workspace}/projects/", self._create_project),
            ("POST", "/api/v1/study-cost-calculator/", self._cost),
            ("GET", "/api/v1/reward-recommendations/", self._rates),
            ("GET", "/api/v1/participant-groups/", self._groups),
            ("POST", "/api/v1/participant-groups/", self._create_group),
            ("DELETE", f"{group}/", self._delete_group),
            ("GET", f"{group}/participants/", self._members),
            ("POST", f"{group}/participants/", self._add_members),
            ("DELETE", f"{group}/participants/", self._remove_members),
            ("POST", "/api/v1/messages/", self._message),
            ("POST", "/api/v1/messages/bulk/", self._messages),
            ("POST", "/api/v1/researchers/participants/", self._test_participant),
            ("GET", "/api/v1/hooks/secrets/", self._secrets),
            ("POST", "/api/v1/hooks/secrets/", self._create_secret),
            ("GET", "/api/v1/hooks/subscriptions/", self._hooks),
            ("POST", "/api/v1/hooks/subscriptions/", self._subscribe),
            ("POST", "/api/v1/hooks/subscriptions/{hook}/", self._confirm),
            ("DELETE", "/api/v1/hooks/subscriptions/{hook}/", self._unsubscribe),
            ("GET", "/api/v1/hooks/subscriptions/{hook}/events/", self._hook_events),
        ]

    async def _me(self, _: Request) -> Response:
        total, available = _cents(self._books.balance), _cents(self._books.available)
        return write_answer(
            documents.WireUser(RESEARCHER, "researcher@example.org", "A Researcher", "USD", total, available)
        )

    async def _workspaces(self, request: Request) -> Response:
        found = [documents.WireWorkspace(one, title) for one, title in self._books.workspaces.items()]
        return paged(request, found, documents.WireList[documents.WireWorkspace])

    async def _create_workspace(self, request: Request) -> Response:
        body = await read_body(request, schema.TitleBody)
        workspace = self._books.new_id()
        self._books.workspaces[workspace] = body.title
        return write_answer(documents.WireWorkspace(workspace, body.title), 201)

    async def _balance(self, request: Request) -> Response:
        self._workspace(request.path_params["workspace"])
        total, available = _cents(self._books.balance), _cents(self._books.available)
        return write_answer(
            documents.WireBalance(
                "USD",
                total,
                documents.WireBreakdown(total, 0, 0),
                available,
                documents.WireBreakdown(available, 0, 0),
            )
        )

    async def _projects(self, request: Request) -> Response:
        workspace = self._workspace(request.path_params["workspace"])
        found = [
            documents.WireProject(one, title, workspace)
            for one, (owner, title) in self._books.projects.items()
            if owner == workspace
        ]
        return paged(request, found, documents.WireList[documents.WireProject])

    async def _create_project(self, request: Request) -> Response:
        workspace = self._workspace(request.path_params["workspace"])
        body = await read_body(request, schema.TitleBody)
        project = self._books.new_id()
        self._books.projects[project] = (workspace, body.title)
        return write_answer(documents.WireProject(project, body.title, workspace), 201)

    async def _cost(self, request: Request) -> Response:
        body = await read_body(request, schema.CostBody)
        return write_answer(documents.WireCost(int(body.total_available_places) * with_fees(int(body.reward))))

    async def _rates(self, request: Request) -> Response:
        workspace, currency = needs(request, ("workspace_id", "currency"))
        self._workspace(workspace)
        newest = documents.WireRates(currency, MIN_HOURLY_CENTS, RECOMMENDED_HOURLY_CENTS)
        older = documents.WireRates(currency, MIN_HOURLY_CENTS - 200, RECOMMENDED_HOURLY_CENTS - 200)
        return write_answer([newest, older])

    async def _groups(self, request: Request) -> Response:
        self._workspace(needs(request, ("workspace_id",))[0])
        found = [self._group_answer(group) for group in self._books.groups.values() if not group.is_deleted]
        return paged(request, found, documents.WireList[documents.WireGroup])

    async def _create_group(self, request: Request) -> Response:
        body = await read_body(request, schema.GroupBody)
        self._workspace(body.workspace_id)
        now = self._site.clock.now()
        group = FakeGroup(self._books.new_id(), body.name, body.description, dict.fromkeys(body.participant_ids, now))
        self._books.groups[group.id] = group
        return write_answer(self._group_answer(group), 201)

    async def _delete_group(self, request: Request) -> Response:
        self._group(request).is_deleted = True
        return Response(status_code=204)

    async def _members(self, request: Request) -> Response:
        return paged(request, self._member_answers(self._group(request)), documents.WireList[documents.WireMember])

    async def _add_members(self, request: Request) -> Response:
        group = self._group(request)
        for participant in (await read_body(request, schema.MembersBody)).participant_ids:
            group.members.setdefault(participant, self._site.clock.now())
        return write_answer(documents.WireMembers(self._member_answers(group)))

    async def _remove_members(self, request: Request) -> Response:
        group = self._group(request)
        for participant in (await read_body(request, schema.MembersBody)).participant_ids:
            group.members.pop(participant, None)
        return write_answer(documents.WireMembers(self._member_answers(group)))

    async def _message(self, request: Request) -> Response:
        body = await read_body(request, schema.MessageBody)
        self._books.messages.append((body.recipient_id, body.study_id, body.body))
        return Response(status_code=204)

    async def _messages(self, request: Request) -> Response:
        body = await read_body(request, schema.BulkMessageBody)
        self._books.messages += [(participant, body.study_id, body.body) for participant in body.ids]
        return Response(status_code=204)

    async def _test_participant(self, request: Request) -> Response:
        await read_body(request, schema.TestParticipantBody)
        participant = self._books.new_id()
        self._books.participants.add(participant)
        return write_answer(documents.WireTestParticipant(participant), 201)

    async def _secrets(self, request: Request) -> Response:
        workspace = self._workspace(needs(request, ("workspace_id",))[0])
        value = self._books.hook_secret
        found = [] if value is None else [documents.WireSecret("secret", value, workspace)]
        return write_answer(documents.WireSecrets(found))

    async def _create_secret(self, request: Request) -> Response:
        workspace = self._workspace((await read_body(request, schema.SecretBody)).workspace_id)
        self._books.hook_secret = f"whs_{self._books.new_id()}"
        return write_answer(documents.WireSecret("secret", self._books.hook_secret, workspace), 201)

    async def _hooks(self, request: Request) -> Response:
        self._workspace(needs(request, ("workspace_id",))[0])
        found = [self._hook_answer(hook) for hook in self._books.hooks.values()]
        return paged(request, found, documents.WireList[documents.WireHook])

    async def _subscribe(self, request: Request) -> Response:
        body = await read_body(request, schema.SubscriptionBody)
        self._workspace(body.workspace_id)
        is_local = body.target_url.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:"))
        if body.event_type not in EVENT_TYPES or not (body.target_url.startswith("https://") or is_local):
            raise FakeRefusalError(400, "event_type or target_url is not valid; the target must use https")
        if self._books.hook_secret is None:
            raise FakeRefusalError(400, "the workspace has no secret")
        hook = FakeHook(self._books.new_id(), body.event_type, body.target_url, self._books.new_id())
        self._books.hooks[hook.id] = hook
        headers = {"X-Hook-Secret": hook.confirmation}
        answer = self._hook_answer(hook)
        if self._site.guesses.is_flipped(ProlificGuess.SUBSCRIPTION_COMES_IN_LIST):
            listed = documents.WireList[documents.WireHook]([answer], documents.WireMeta(1))
            return write_answer(listed, 201, headers)
        return write_answer(answer, 201, headers)

    async def _confirm(self, request: Request) -> Response:
        hook = self._hook(request)
        if (await read_body(request, schema.ConfirmBody)).secret != hook.confirmation:
            raise FakeRefusalError(400, "the secret is not that of the subscription")
        hook.is_enabled = True
        return write_answer(self._hook_answer(hook))

    async def _unsubscribe(self, request: Request) -> Response:
        del self._books.hooks[self._hook(request).id]
        return Response(status_code=204)

    async def _hook_events(self, request: Request) -> Response:
        hook = self._hook(request)
        now = iso_time(self._site.clock.now())
        found = [
            documents.WireHookDelivery(event, hook.event_type, resource, word, hook.target_url, now)
            for event, resource, word in hook.deliveries
        ]
        return paged(request, found, documents.WireList[documents.WireHookDelivery])

    def _workspace(self, workspace: str) -> str:
        if workspace not in self._books.workspaces:
            raise FakeRefusalError(404, "Not found.")
        return workspace

    def _group(self, request: Request) -> FakeGroup:
        group = self._books.groups.get(request.path_params["group"])
        if group is None or group.is_deleted:
            raise FakeRefusalError(404, "Not found.")
        return group

    def _hook(self, request: Request) -> FakeHook:
        hook = self._books.hooks.get(request.path_params["hook"])
        if hook is None:
            raise FakeRefusalError(404, "Not found.")
        return hook

    @staticmethod
    def _group_answer(group: FakeGroup) -> documents.WireGroup:
        return documents.WireGroup(
            group.id, group.name, group.description, WORKSPACE, len(group.members), group.is_deleted
        )

    @staticmethod
    def _member_answers(group: FakeGroup) -> list[documents.WireMember]:
        return [documents.WireMember(one, iso_time(since)) for one, since in group.members.items()]

    @staticmethod
    def _hook_answer(hook: FakeHook) -> documents.WireHook:
        return documents.WireHook(hook.id, hook.event_type, hook.target_url, hook.is_enabled, WORKSPACE)


def _cents(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_FLOOR))
