"""Where a job's data is kept, unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path

from ...core.operations.config_handler import CORE_SECTION, DATA_STORAGE_KEY, get_config_arg

#: The log, in the data folder.
DATABASE_FILE = "mephisto.db"
#: The data folder where none is named: in the folder in which a command is run.
LOCAL_DATA_DIR = "mephisto_data"


def data_dir(chosen: object = None) -> Path:
    """The data folder: the chosen one, or that of config.yml, or `mephisto_data` here.

    Raises:
        ConfigError: config.yml cannot be read.
    """
    folder = chosen or get_config_arg(CORE_SECTION, DATA_STORAGE_KEY) or LOCAL_DATA_DIR
    return Path(str(folder)).expanduser().absolute()
