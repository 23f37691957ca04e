"""Command ids of operators: unique in a log, whichever of its writers made them, and in every copy of it.

Each writer of a log has an epoch, a number that no other writer of it has or had.
"""

from __future__ import annotations

#: All command ids of operators are at least the first one and less than the second one, and sort by epoch. Both are
#: for queries: an index finds the last of these ids at once.
FIRST_COMMAND = "operator/"
AFTER_COMMANDS = "operator/g"
#: Hexadecimal digits of the epoch, and of the number of a command.
_EPOCH_DIGITS = 8
_NUMBER_DIGITS = 10


def command_id(epoch: int, number: int) -> str:
    """Return the id of a command of an operator; later ids sort after earlier ones.

    Args:
        epoch: a number that no other writer of the log has or had.
        number: the number of the command: 1, 2, 3 ...
    """
    return f"{FIRST_COMMAND}{epoch:0{_EPOCH_DIGITS}x}/{number:0{_NUMBER_DIGITS}x}"


def epoch_of(command: str | None) -> int:
    """Return the epoch in the id of a command, 0 if it has none.

    A log tells by the last of these ids which epochs are used up: a copy has the commands of its source, whatever
    became of the number that is stored beside the events.

    Args:
        command: the id; None if the log has none of an operator.
    """
    if command is None or not command.startswith(FIRST_COMMAND):
        return 0
    digits = command.removeprefix(FIRST_COMMAND).partition("/")[0]
    try:
        return int(digits, 16)
    except ValueError:
        return 0
