"""Implements `mephisto-es message`: have the crowd site pass on a message to a worker."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from ...core.entity_ref import EntityRef
from ...core.operations.control.requests import SiteMessageRequest
from ...events.ids import AgentId
from ..control.client import open_control
from ..control.protocol import author_of
from ..terminal import echo
from .common.arguments import EntityType, LogCommand, author_option, log_argument, script_option
from .common.output import waiting_for


@click.command("message", cls=LogCommand)
@log_argument
@click.argument("agent", type=EntityType("agent"))
@click.argument("text")
@click.option(
    "--request-return", "asks_for_return", is_flag=True, help="Ask the worker to return the work; Prolific only."
)
@click.option("--again", is_flag=True, help="Send it although the worker may have the same text.")
@script_option
@author_option
def message_command(
    database: Path, agent: EntityRef, text: str, asks_for_return: bool, again: bool, author: str | None
) -> None:
    """Have the crowd site pass on TEXT to the worker of AGENT: Prolific and Connect do.

    With --request-return Prolific asks the worker to return the work, which spares both a rejection. Nothing is decided
    by it: the work stays as it is until the worker returns it, and a reviewer has to decide in time otherwise.

    No site shows whether a message has arrived. So each is sent at most once; if the answer is lost, look at the site's
    messages before you send it --again.

    \b
    Examples:
      mephisto-es message mephisto_data agent-3 "Thank you! May we use your comment in our paper?"
      mephisto-es message mephisto_data agent-4 --request-return "The recording is silent."
    """
    request = SiteMessageRequest(agent=AgentId(agent.number), text=text, asks_for_return=asks_for_return, again=again)

    async def send() -> None:
        async with open_control(database, author_of(author)) as control:
            await control.execute(request)

    with waiting_for("asking the site to pass the message on"):
        trio.run(send)
    echo(f"{agent}: {'asked to return the work' if asks_for_return else 'the site passes the message on'}")
