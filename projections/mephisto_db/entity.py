"""Base of the rows of Mephisto's data model, which know the database they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from . import rows
from .criteria import EntityId
from .queries import MephistoQueries


class Entity(rows.Row, frozen=True):
    """A row together with the database it was read from.

    The database is not a column. It is kept in the `__dict__` that entities have for this purpose, so they compare and
    serialize by their columns alone.
    """

    @classmethod
    def from_columns(cls, db: MephistoQueries, columns: Mapping[str, object]) -> Self:
        """Construct an entity from the columns of its row.

        Args:
            db: the database that the row was read from.
            columns: the values by column name, as SQLite returns them.

        Raises:
            msgspec.ValidationError: a value does not have the type of its column.
        """
        entity = rows.from_columns(cls, columns)
        entity.__dict__["_db"] = db
        return entity

    @property
    def db(self) -> MephistoQueries:
        """The database that the row was read from."""
        db: MephistoQueries = self.__dict__["_db"]
        return db

    @classmethod
    def get(cls, db: MephistoQueries, db_id: EntityId) -> Self:
        """Return the entity with an id.

        Raises:
            UnknownEntityError: there is none; the message names the nearest id.
        """
        return db.get(cls, db_id)
