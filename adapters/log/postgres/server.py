"""Connects to a PostgreSQL server, again and again if it has to, and never shows what is secret in its address."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import LiteralString, TypeVar

import psycopg
from psycopg import conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from ....core.errors import LogError, OutcomeUnknownError, UnusableLogError
from ....core.operations.logger_core import get_logger

#: Seconds after which a server that cannot be reached is given up, and between two attempts.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.1
#: Parts of a server's address that may be shown.
_PUBLIC = ("host", "hostaddr", "port", "dbname")
#: How a connection notices that its server is gone. What the user sets is kept.
_DEFAULTS = {
    "application_name": "mephisto-es",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "target_session_attrs": "read-write",
    "tcp_user_timeout": "10000",
}
#: A writer that is stopped within a turn loses its locks, and with them the turn. Queries read a few rows by a key, of
#: tables that only grow; the planner, which knows them as they were a minute ago, would read them whole.
_SETTINGS = """
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET idle_in_transaction_session_timeout = '10s';
    SET client_min_messages = 'warning';
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off
"""

#: Writes nothing but to the server's journal, so its commit returns once the standby has all of that so far.
_WAIT_FOR_STANDBY = "SELECT pg_logical_emit_message(true, 'mephisto-es', '')"
#: The part of the server that warns when its administrator cancels a commit's wait for the standby. The commit is
#: reported as done nevertheless.
_WAITS_FOR_STANDBY = "SyncRepWaitForLSN"

Connection = psycopg.Connection[TupleRow]
T = TypeVar("T")

logger = get_logger(__name__)
# It warns of each connection that is lost, which is said here in our own words.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class Server:
    """One connection to a server, made again when it is lost. Threads that call it wait for each other.

    Attributes:
        name: the server and database, for messages. It has neither user nor password.
        connections: how often it was connected to, listeners apart.
    """

    def __init__(self, address: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Connect, once; later connections are tried again.

        Args:
            address: a URL or a connection string of libpq.
            patience_seconds: how long to try when the connection is lost.

        Raises:
            UnusableLogError: the address is not valid, or the server cannot be reached.
        """
        try:
            given = {key: str(value) for key, value in conninfo.conninfo_to_dict(address).items()}
        except psycopg.ProgrammingError:
            # The message of the library has parts of the address in it.
            raise UnusableLogError(
                "the address of the PostgreSQL log is not valid; it looks like postgresql://user@host:5432/database"
            ) from None
        self.name = "PostgreSQL at " + (
            " ".join(f"{key}={given[key]}" for key in _PUBLIC if key in given) or "the default address"
        )
        self._address = conninfo.make_conninfo(**{**_DEFAULTS, **given})
        self._patience_seconds = patience_seconds
        self._closed = threading.Event()
        self._in_use = threading.RLock()
        self._listeners: list[Connection] = []
        # True if the standby may not have what was committed, which only a later commit can tell.
        self._is_in_doubt = False
        self.connections = 1
        try:
            self._db: Connection | None = self._connect()
        except psycopg.Error as error:
            raise UnusableLogError(f"{self.name} cannot be used: {_first_line(error)}") from None

    def call(self, work: Callable[[Connection], T]) -> T:
        """Run a function with the connection, and run it again if the connection is lost or the server fails over.

        It returns once a synchronous standby has what the function has committed, even if an administrator cancels the
        server's wait for it.

        Raises:
            OutcomeUnknownError: nobody knows whether the standby has what was written.
            LogError: the server refused, could not be reached in time, or this was closed.
        """
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            with self._in_use:
                began_at = time.monotonic()
                try:
                    result = work(self._connected())
                    self._settle()
                    return result
                except (psycopg.OperationalError, *_MOVING) as error:
                    # Perhaps while it waited for the standby, and what is there already is not written again.
                    self._is_in_doubt = True
                    self._drop()
                    lost_at = time.monotonic()
                    if lost_at - began_at > self._patience_seconds:
                        # It waited for others, or for the standby, on a server that lived until now.
                        give_up_at = lost_at + self._patience_seconds
                    if lost_at >= give_up_at or self._closed.is_set():
                        raise UnusableLogError(f"{self.name} cannot be reached: {_first_line(error)}") from error
                except psycopg.Error as error:
                    self.roll_back()
                    if error.sqlstate is not None and error.sqlstate.startswith(("ES", "23505")):
                        raise  # the caller knows what to do
                    if isinstance(error, _NO_LOG):
                        raise UnusableLogError(f"{self.name} {_MAKE_LOG}") from error
                    raise LogError(f"{self.name} refused: {_first_line(error)}") from error
            logger.warning("the connection to the log was lost; trying again", server=self.name)
            self._closed.wait(PAUSE_SECONDS)

    def roll_back(self) -> None:
        """End a transaction that has begun without a trace."""
        if self._db is not None and not self._db.closed:
            try:
                self._db.rollback()
            except psycopg.Error:
                self._drop()

    @property
    def backend_pid(self) -> int:
        """The number of the server's process for this connection; 0 while there is none."""
        return 0 if self._db is None or self._db.closed else self._db.info.backend_pid

    def close(self) -> None:
        """Close the connection; a call in another thread gives up. May be called twice."""
        self._closed.set()
        self._drop()
        for db in self._listeners:
            db.close()

    def listener(self) -> Connection:
        """Return another connection, which the server notifies of new events.

        It is closed by the caller, or with this: a caller that was cancelled meanwhile never gets it.

        Raises:
            psycopg.Error: the server cannot be reached, or this was closed.
        """
        db = self._connect("LISTEN es")
        self._listeners = [*(one for one in self._listeners if not one.closed), db]
        if self._closed.is_set():
            db.close()
        return db

    def _settle(self) -> None:
        """Wait until the standby has everything, if it may lack something. Within a transaction, do nothing yet.

        Raises:
            OutcomeUnknownError: the server refused to be asked.
            psycopg.Error: the connection was lost, or leads to a server that was demoted.
        """
        db = self._connected()
        while self._is_in_doubt and db.info.transaction_status == TransactionStatus.IDLE:
            self._is_in_doubt = False
            try:
                db.execute(_WAIT_FOR_STANDBY)
            except (psycopg.OperationalError, *_MOVING):
                raise
            except psycopg.Error as error:
                self._is_in_doubt = True
                raise OutcomeUnknownError(
                    f"{self.name} does not say whether its standby has what was written: {_first_line(error)}"
                ) from error

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.source_function == _WAITS_FOR_STANDBY:
            logger.warning(
                "the wait for the standby was cancelled; waiting again, as nothing is confirmed before it has it",
                server=self.name,
            )
            self._is_in_doubt = True

    def _connected(self) -> Connection:
        if self._db is None:
            self._db = self._connect()
            self.connections += 1
            if self._closed.is_set():
                # A call that was left behind in a thread, and had the connection made after `close`.
                self._drop()
                raise psycopg.OperationalError("the connection was closed")
        return self._db

    def _connect(self, *first: LiteralString) -> Connection:
        db = psycopg.connect(self._address, autocommit=True)
        db.add_notice_handler(self._note)
        try:
            for statement in (_SETTINGS, *first):
                db.execute(statement)
        except BaseException:
            db.close()
            raise
        return db

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


#: What a server says that was demoted, and to a connection that was idle within a transaction for too long.
_MOVING = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.IdleInTransactionSessionTimeout)
#: What a server says of tables and functions that are not there, and what helps.
_NO_LOG = psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName
_MAKE_LOG = (
    "has no log: check the address, launch a run there, or copy a log there with `mephisto-es log copy FILE DATABASE`"
)


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
