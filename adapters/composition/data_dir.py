"""Locates the data folder and names the files in it.

It is one folder for everything: the log, the folders of runs, the socket of the operator.
"""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ConfigError
from ...core.operations.config_handler import CORE_SECTION, DATA_STORAGE_KEY, get_config_arg
from ..private_files import make_private_folder

#: The log, in the data folder. The folders of runs are beside it: `core.payloads.RUNS_FOLDER`.
DATABASE_FILE = "mephisto.db"
#: The default data folder, in the current folder.
LOCAL_DATA_DIR = "mephisto_data"


def data_dir(chosen: object = None) -> Path:
    """Return the data folder: the chosen one, else the one in config.yml, else `mephisto_data` in the current folder.

    Raises:
        ConfigError: config.yml cannot be read.
    """
    folder = chosen or get_config_arg(CORE_SECTION, DATA_STORAGE_KEY) or LOCAL_DATA_DIR
    return Path(str(folder)).expanduser().absolute()


def make_data_dir(folder: Path) -> None:
    """Create a data folder, for its owner only, unless it exists.

    Raises:
        ConfigError: it cannot be created.
    """
    try:
        make_private_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"the data folder {folder} cannot be created: {error.strerror}",
            key="mephisto.database.data_dir",
            hint="Name a folder that you may write to",
        ) from error
