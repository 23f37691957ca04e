"""A router as a process, and the two kinds of people who talk to it: a page and an operator."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

#: Seconds that anything may take before the test fails, on a machine that is busy with other things.
PATIENCE_SECONDS = 60.0
START_SECONDS = 120.0
#: Attempts at a scene that a machine which stalls may spoil.
MAX_ATTEMPTS = 20

#: Spares each client the reading of certificates that nobody asks for.
NO_TLS = False

MAX_FRAME_BYTES = 64 * 2**20

ROOT = Path(__file__).resolve().parents[4]
NODE_ROUTER = ROOT / "adapters" / "architects" / "router" / "node"
PYTHON_MODULE = "mephisto_es.adapters.architects.router.python"

#: Opens a WebSocket, for tests that do what no library does.
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Data = dict[str, Any]
Headers = Mapping[str, str]


@dataclass(frozen=True)
class RouterKind:
    """Starts one of the routers."""

    name: str
    command: Sequence[str]
    folder: Path | None = None


def python_router() -> RouterKind:
    return RouterKind("python", [sys.executable, "-m", PYTHON_MODULE])


async def attempt(scene: Callable[[], Awaitable[bool]]) -> None:
    """Play a scene until it returns true.

    For claims that something does not happen within a limit. A machine that stalls for longer than the limit spoils an
    attempt; a router that breaks the promise spoils all of them.
    """
    for _ in range(MAX_ATTEMPTS):
        if await scene():
            return
    raise AssertionError(f"the scene never ended as promised, in {MAX_ATTEMPTS} attempts")


class Packet(msgspec.Struct, forbid_unknown_fields=True):
    """A packet as a test sees it."""

    packet_type: str
    subject_id: str | None = None
    data: Any = None
    client_timestamp: float | None = None
    router_incoming_timestamp: float | None = None
    router_outgoing_timestamp: float | None = None
    server_timestamp: float | None = None
    seq: int | None = None


class Inbox:
    """Packets that arrived on one socket, in order, to be waited for."""

    def __init__(self) -> None:
        self.received: list[Packet] = []
        self._taken: set[int] = set()
        self._changed = trio.Event()

    def put(self, packet: Packet) -> None:
        self.received.append(packet)
        self._changed.set()
        self._changed = trio.Event()

    async def expect(
        self,
        packet_type: str,
        matches: Callable[[Packet], bool] = lambda _: True,
        patience: float = PATIENCE_SECONDS,
    ) -> Packet:
        """Wait for the first packet of a type that no one expected before."""
        with trio.move_on_after(patience):
            while True:
                for index, packet in enumerate(self.received):
                    if index not in self._taken and packet.packet_type == packet_type and matches(packet):
                        self._taken.add(index)
                        return packet
                await self._changed.wait()
        raise AssertionError(f"no {packet_type!r} came; what came: {self.received}")

    def forget(self) -> None:
        """Go on as if nothing had arrived yet."""
        self.received.clear()
        self._taken.clear()

    def of_type(self, packet_type: str) -> list[Packet]:
        return [packet for packet in self.received if packet.packet_type == packet_type]


class FreezableStream(trio.abc.Stream):
    """A connection whose end can stop reading, as a page does whose machine sleeps: it answers no ping either."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._goes_on = trio.Event()
        self.thaw()

    def freeze(self) -> None:
        self._goes_on = trio.Event()

    def thaw(self) -> None:
        self._goes_on.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        received = await self._stream.receive_some(max_bytes)
        await self._goes_on.wait()
        return received

    async def aclose(self) -> None:
        self.thaw()
        await self._stream.aclose()


class Peer:
    """One end of a socket to the router."""

    def __init__(self, stream: FreezableStream, socket_: WebSocketConnection) -> None:
        self.stream = stream
        self.socket = socket_
        self.inbox = Inbox()
        #: What arrived, as it was.
        self.frames: list[str | bytes] = []
        self.closed = trio.Event()

    async def listen(self) -> None:
        """Put what arrives into the inbox until the socket is closed."""
        try:
            while True:
                text = await self.socket.get_message()
                self.frames.append(text)
                decoded = msgspec.json.decode(text, type=Packet | list[Packet])
                for packet in decoded if isinstance(decoded, list) else [decoded]:
                    self.inbox.put(packet)
        except ConnectionClosed:
            self.closed.set()

    async def send(self, packet_type: str, subject_id: str | None, data: Any = None, **fields: Any) -> None:
        packet = {"packet_type": packet_type, "subject_id": subject_id, **fields}
        if data is not None:
            packet["data"] = data
        await self.send_text(msgspec.json.encode(packet).decode())

    async def send_text(self, text: str) -> None:
        await self.socket.send_message(text)

    async def expect(
        self,
        packet_type: str,
        matches: Callable[[Packet], bool] = lambda _: True,
        patience: float = PATIENCE_SECONDS,
    ) -> Packet:
        return await self.inbox.expect(packet_type, matches, patience)

    def freeze(self) -> None:
        """Read nothing and answer nothing until `thaw`."""
        self.stream.freeze()

    def thaw(self) -> None:
        """Read and answer again, also what came meanwhile."""
        self.stream.thaw()

    async def close(self, code: int = 1001) -> None:
        """Leave with a goodbye."""
        self.thaw()
        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_when_closed, nursery.cancel_scope)
                await self.socket.aclose(code)
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(self.stream)

    async def _stop_when_closed(self, scope: trio.CancelScope) -> None:
        await self.closed.wait()
        scope.cancel()

    async def vanish(self) -> None:
        """Leave without a goodbye, as when the network is lost."""
        await trio.aclose_forcefully(self.stream)
        with trio.fail_after(PATIENCE_SECONDS):
            await self.closed.wait()

    async def closing_code(self) -> int | None:
        """Wait until the router has closed the socket and tell the code."""
        with trio.fail_after(PATIENCE_SECONDS):
            await self.closed.wait()
        return self.socket.closed.code if self.socket.closed is not None else None


P = TypeVar("P", bound=Peer)


class Page(Peer):
    """The client library's side of its socket."""

    def __init__(self, stream: FreezableStream, socket_: WebSocketConnection, token: str) -> None:
        super().__init__(stream, socket_)
        self.token = token

    async def alive(self, token: str | None = None) -> None:
        await self.send("alive", token or self.token, {"update_id": str(uuid.uuid4())}, client_timestamp=1795290310.914)

    async def heartbeat(self, at: float = 1795290311.414, token: str | None = None) -> Packet:
        """Send a heartbeat and wait for its answer; what was sent before has been handled then."""
        await self.send("heartbeat", token or self.token, client_timestamp=at)
        return await self.expect("heartbeat")

    async def say(self, **data: Any) -> str:
        """Send a live update; return its update_id."""
        update_id = str(uuid.uuid4())
        await self.send(
            "mephisto_bound_live_update", self.token, {**data, "update_id": update_id}, client_timestamp=2.5
        )
        return update_id

    def statuses(self) -> list[str]:
        return [packet.data["status"] for packet in self.inbox.of_type("update_status")]

    def texts(self) -> list[Any]:
        return [packet.data.get("text") for packet in self.inbox.of_type("client_bound_live_update")]


class OperatorLink(Peer):
    """The operator's side of its socket."""

    def __init__(self, stream: FreezableStream, socket_: WebSocketConnection) -> None:
        super().__init__(stream, socket_)
        self.state: Data = {}

    async def greet(
        self, secret: str, incarnation: str | None = None, acked: int | None = None, run: str | None = None
    ) -> None:
        greeting = {"token": secret, "incarnation": incarnation, "acked": acked, "run": run}
        await self.send("alive", "mephisto", greeting)
        self.state = (await self.expect("router_state")).data

    async def agents(self, statuses: Mapping[str, str]) -> None:
        await self.send("agents", "mephisto", {"agents": dict(statuses)})

    async def status(self, token: str, status: str) -> None:
        """Give an agent's status; who was not known is then."""
        await self.send("update_status", token, {"status": status})

    async def tell(self, token: str, **data: Any) -> str:
        """Send a live update to an agent's page; return its update_id."""
        update_id = str(uuid.uuid4())
        await self.send("client_bound_live_update", token, {**data, "update_id": update_id}, server_timestamp=3.5)
        return update_id

    async def settled(self) -> dict[str, str]:
        """Return all statuses; what was sent before has been handled then."""
        # Tells the answer from statuses that the router sends by itself.
        marker = f"marker-{uuid.uuid4()}"
        await self.status(marker, "completed")
        await self.send("request_statuses", "mephisto", {})
        statuses = await self.expect("return_statuses", lambda packet: marker in packet.data)
        return {token: status for token, status in statuses.data.items() if not token.startswith("marker-")}

    async def answer(self, question: Packet, agent_id: str | None, **details: Any) -> None:
        """Answer a register_agent or submit_onboarding."""
        data = {
            "request_id": question.data["request_id"],
            "worker_id": "17",
            "agent_id": agent_id,
            "init_task_data": {"text": "Item #1", "number": 1} if agent_id else None,
            "failure_reason": None,
        }
        await self.send("agent_details", data["request_id"], {**data, **details}, server_timestamp=1.25)

    async def ack(self, seq: int, incarnation: str | None = None) -> None:
        await self.send("ack", "mephisto", {"incarnation": incarnation or self.state["incarnation"], "seq": seq})

    def numbers(self) -> list[int]:
        """The sequence numbers that arrived, in order of arrival."""
        return [packet.seq for packet in self.inbox.received if packet.seq is not None]


def gone(token: str, statuses: Mapping[str, str]) -> bool:
    """True if an agent is reported gone."""
    return statuses.get(token) == "disconnect"


def was_gone(token: str, operator: OperatorLink) -> bool:
    """True if the operator has been told that an agent is gone."""
    return any(gone(token, packet.data) for packet in operator.inbox.of_type("return_statuses"))


def error_of(answer: httpx.Response) -> str:
    """The sentence of an answer that is not 200; it is never a page."""
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    error = answer.json()["error"]
    assert isinstance(error, str)
    assert error
    return error


@dataclass
class Router:
    """A router process; stopped and killed ones may be started again at the same address."""

    kind: RouterKind
    static: Path
    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    secret: str = "open sesame, said the secret"
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    process: subprocess.Popen[bytes] | None = None
    #: Where what it complains about goes; None: where ours goes.
    stderr: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def auth(self) -> Headers:
        return {"Authorization": f"Bearer {self.secret}"}

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("MEPHISTO_ROUTER_")},
            "MEPHISTO_ROUTER_SECRET": self.secret,
            "MEPHISTO_ROUTER_FD": str(self.listener.fileno()),
            "MEPHISTO_ROUTER_STATIC": str(self.static),
            "MEPHISTO_ROUTER_DATA": str(self.data),
            **{f"MEPHISTO_ROUTER_{name}": value for name, value in self.settings.items()},
        }

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process; it need not be ready yet."""
        return subprocess.Popen(
            self.kind.command,
            cwd=self.kind.folder,
            env=self.environment(),
            pass_fds=[self.listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.stderr,
        )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.process = self.launch()
        answer = httpx.get(f"{self.url}/is_alive", timeout=START_SECONDS, verify=NO_TLS)
        assert answer.json() == {"status": "Alive!"}

    def run_to_the_end(self, **environment: str | None) -> tuple[int, str, str]:
        """Run a process that ends by itself; return its exit status, its output and its complaints.

        Args:
            environment: Variables that are different; None takes one away.
        """
        changed = {**self.environment(), **environment}
        done = subprocess.run(
            self.kind.command,
            cwd=self.kind.folder,
            env={name: value for name, value in changed.items() if value is not None},
            pass_fds=[self.listener.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; return its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return status

    def close(self) -> None:
        """End everything."""
        if self.process is not None:
            self.stop(signal.SIGKILL)
        self.listener.close()

    def journals(self) -> list[Path]:
        return sorted(self.data.glob("journal-*.jsonl"))


class RouterHarness:
    """A router with whoever a test lets talk to it; all leave when the test ends."""

    def __init__(self, router: Router, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        self.router = router
        self.http = http
        self._nursery = nursery
        self._peers: list[Peer] = []

    async def leave(self) -> None:
        """Close everything that was opened."""
        await self.http.aclose()
        for peer in self._peers:
            await peer.close()

    async def socket(self) -> Peer:
        """A socket that has said nothing yet."""
        return await self._connected(Peer)

    async def page(self, token: str, *, alive: bool = True, address: str | None = None) -> Page:
        """A page's socket; it has said `alive` and was told its status unless `alive` is false.

        Args:
            token: Of its agent.
            alive: Whether to greet.
            address: What a web server in front says where the page is; None if there is no such server.
        """
        page = await self._connected(partial(Page, token=token), address)
        if alive:
            await page.alive()
            await page.expect("update_status")
        return page

    async def operator(
        self,
        agents: Mapping[str, str] | None = None,
        *,
        after: OperatorLink | None = None,
        acked: int | None = None,
        run: str | None = None,
    ) -> OperatorLink:
        """The operator's socket, attached.

        Args:
            agents: Statuses of the agents it says there are; None says nothing about agents.
            after: The link before this one, which this one goes on from; without it the router
                forgets the agents that there were before.
            acked: What the operator says it has committed.
            run: The run it says it drives.
        """
        operator = await self._connected(OperatorLink)
        await operator.greet(self.router.secret, after.state["incarnation"] if after else None, acked, run)
        if agents is not None:
            if after is None:
                await operator.agents({})
            await operator.agents(agents)
            await operator.settled()
        return operator

    async def request_agent(self, registration: str = "A-W") -> httpx.Response:
        provider_data = {"worker_name": "W", "agent_registration_id": registration, "provider_type": "mock"}
        body = {"provider_data": provider_data, "client_timestamp": 1795290650.597}
        return await self.http.post("/request_agent", json=body)

    async def submit(self, token: str, final_data: Any) -> httpx.Response:
        body = {"USED_AGENT_ID": token, "final_data": final_data, "client_timestamp": 1795290651.72}
        return await self.http.post("/submit_task", json=body)

    async def counters(self) -> Data:
        answer = await self.http.get("/counters", headers=self.router.auth)
        assert answer.status_code == 200
        counters: Data = answer.json()
        return counters

    async def wait_sockets(self, count: int) -> None:
        """Return when the router has noticed that only so many sockets are left."""
        with trio.fail_after(PATIENCE_SECONDS):
            while (await self.counters())["sockets"] > count:
                await trio.lowlevel.checkpoint()

    async def _connected(
        self, make: Callable[[FreezableStream, WebSocketConnection], P], address: str | None = None
    ) -> P:
        host, port = self.router.listener.getsockname()
        with trio.fail_after(PATIENCE_SECONDS):
            stream = FreezableStream(await trio.open_tcp_stream(host, port))
            socket_ = await self._nursery.start(self._hold, stream, f"{host}:{port}", address)
        peer = make(stream, socket_)
        self._peers.append(peer)
        self._nursery.start_soon(peer.listen)
        return peer

    async def _hold(
        self,
        stream: FreezableStream,
        host: str,
        address: str | None,
        *,
        task_status: trio.TaskStatus[WebSocketConnection],
    ) -> None:
        """Keep a socket open; the library answers a ping even while it is closing, which is an error of its own."""
        with suppress(LocalProtocolError):
            try:
                async with trio.open_nursery() as nursery:
                    socket_ = await wrap_client_stream(
                        nursery,
                        stream,  # type: ignore[arg-type]  # any stream will do
                        host,
                        "/",
                        max_message_size=MAX_FRAME_BYTES,
                        extra_headers=[] if address is None else [(b"X-Forwarded-For", address.encode())],
                    )
                    task_status.started(socket_)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
