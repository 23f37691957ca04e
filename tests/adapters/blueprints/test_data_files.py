from __future__ import annotations

import re
from pathlib import Path

import pytest

from mephisto_es.adapters.blueprints.data_files import check_file, read_csv, read_json, read_jsonl
from mephisto_es.core.errors import ConfigError


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "data"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_csv_rows_are_objects_of_strings(tmp_path: Path) -> None:
    file = written(tmp_path, '\ufeffid,text\r\n1,"two\nlines, and ""quotes"""\r\n\r\n2,né\r\n')
    assert list(read_csv(file)) == [{"id": "1", "text": 'two\nlines, and "quotes"'}, {"id": "2", "text": "né"}]


def test_json_lines_are_objects(tmp_path: Path) -> None:
    file = written(tmp_path, '{"a": 1}\n\n{"a": {"b": [null]}}')
    assert list(read_jsonl(file)) == [{"a": 1}, {"a": {"b": [None]}}]


def test_a_json_array_gives_its_objects(tmp_path: Path) -> None:
    assert list(read_json(written(tmp_path, '[{"a": 1}, {}]'))) == [{"a": 1}, {}]


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    rows = read_csv(written(tmp_path, "a\n1\n2,3\n"))
    assert next(rows) == {"a": "1"}
    with pytest.raises(ConfigError):
        next(rows)


@pytest.mark.parametrize(
    ("setting", "content", "complaint"),
    [
        ("data_csv", "", "line 1: there are no column names"),
        ("data_csv", "a,b\n", "holds no data"),
        ("data_csv", "a,\n1,2\n", "line 1: column 2 has no name"),
        ("data_csv", "a,a\n1,2\n", "line 1: two columns are called 'a'"),
        ("data_csv", "a,b\n1,2\n3\n", "line 3: 1 values under 2 column names"),
        ("data_csv", 'a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("data_csv", b"a\n\xff\n", "is not UTF-8"),
        ("data_json", "", "line 1: not JSON"),
        ("data_json", '[\n{"a": 1},\n{"a" 2}]', "line 3: not JSON"),
        ("data_json", "{}", "does not hold a JSON array"),
        ("data_json", "[]", "holds no data"),
        ("data_json", '[{}, "x"]', "item 2 is not a JSON object"),
        ("data_json", '[{"a": NaN}]', "holds NaN"),
        ("data_jsonl", "\n\n", "holds no data"),
        ("data_jsonl", '{"a": 1}\n[1]\n', "line 2: not a JSON object"),
        ("data_jsonl", '{"a": 1}\n{"a": \n', "line 2: not a JSON object"),
        ("data_jsonl", b'{"a": "\xff"}\n', "is not UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, setting: str, content: str | bytes, complaint: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ConfigError, match=re.escape(complaint)) as error:
        check_file(setting, file)
    assert str(file) in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize("setting", ["data_csv", "data_json", "data_jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="nowhere cannot be read: No such file"):
        check_file(setting, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        check_file(setting, tmp_path)
