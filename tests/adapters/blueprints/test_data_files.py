from __future__ import annotations

import re
from pathlib import Path

import pytest

from mephisto_es.adapters.blueprints.csv_files import MAX_CELL_LENGTH, read_csv
from mephisto_es.adapters.blueprints.data_files import read_file, read_json, read_jsonl
from mephisto_es.adapters.blueprints.file_remarks import FileRemarks
from mephisto_es.core.errors import ConfigError

#: A table with a cell of the greatest length; one more character is too many.
LONG = "id,text\n1," + "x" * MAX_CELL_LENGTH


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "data"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_csv_rows_are_objects_of_strings(tmp_path: Path) -> None:
    file = written(tmp_path, '\ufeffid,text\r\n1,"two\nlines, and ""quotes"""\r\n\r\n2,né\r\n')
    assert list(read_csv(file)) == [{"id": "1", "text": 'two\nlines, and "quotes"'}, {"id": "2", "text": "né"}]


@pytest.mark.parametrize(
    ("content", "rows", "remark"),
    [
        ("id;text\n1;one, two\n2;three\n", [("1", "one, two"), ("2", "three")], "separated by semicolons"),
        ("id\ttext\n1\tone, two\n", [("1", "one, two")], "separated by tabs"),
        ("sep=;\r\nid;text\r\n1;one\r\n", [("1", "one")], "separated by semicolons"),
        ("SEP=|\nid|text\n1|one\n", [("1", "one")], "separated by '|'"),
        ("id\ttext\n1\tné\n".encode("utf-16"), [("1", "né")], "separated by tabs"),
        ("\ufeffid,text\n1,one\n", [("1", "one")], None),
        ("id,text\r1,one\r2,two\r", [("1", "one"), ("2", "two")], None),
        ("\n\nid,text\n1,one\n", [("1", "one")], None),
        ("id,text\n1,one; two\n2,three; four\n", [("1", "one; two"), ("2", "three; four")], None),
        ("id,text,,\n1,one,,\n,,,\n\n2,two\n", [("1", "one"), ("2", "two")], "rows are skipped (2 lines: 3, 4)"),
        (
            "id,text,x\n1,one\n2\n",
            [("1", "one"), ("2", "")],
            "fewer cells than the header are filled with empty cells (2 lines: 2, 3)",
        ),
        (",id,text\n0,1,one\n1,2,two\n", [("1", "one"), ("2", "two")], "column 1 has no name and is ignored (pandas"),
        ("id,text,\n1,one,x\n", [("1", "one")], "column 3 has no name and is ignored"),
        ("id,id,text\n1,2,one\n", [("2", "one")], "columns 1 and 2 are both named 'id'; the second is used"),
        ('id,text\n1,"one" two\n', [("1", "one two")], "text follows a closed quotation mark"),
        ('id,text\n1,"a ""b"", c\nd"\n', [("1", 'a "b", c\nd')], None),
        pytest.param(LONG, [("1", "x" * MAX_CELL_LENGTH)], None, id="long cell"),
    ],
)
def test_tables_of_many_programs_are_read(
    tmp_path: Path, content: str | bytes, rows: list[tuple[str, str]], remark: str | None
) -> None:
    remarks = FileRemarks()
    read = list(read_file("data_csv", written(tmp_path, content), remarks))
    assert [(row["id"], row["text"]) for row in read] == rows
    sentences = " ".join(remarks.sentences())
    assert sentences == "" if remark is None else remark in sentences


def test_an_index_that_pandas_wrote_twice_is_remarked_upon(tmp_path: Path) -> None:
    remarks = FileRemarks()
    rows = list(read_csv(written(tmp_path, "Unnamed: 0,text\n0,one\n"), remarks))
    assert rows == [{"Unnamed: 0": "0", "text": "one"}]
    [remark] = remarks.sentences()
    assert "'Unnamed: 0' looks like an index" in remark


def test_a_batch_of_results_has_empty_cells_for_verdicts_that_were_not_given(tmp_path: Path) -> None:
    header = '"HITId","WorkerId","Input.text","Answer.rating","Approve","Reject"'
    file = written(tmp_path, f'{header}\n"3X","A1","good, or bad?","4"\n"3Y","A2","so so","2"\n')
    first, second = read_csv(file)
    assert (first["Input.text"], first["Answer.rating"], first["Approve"], first["Reject"]) == (
        "good, or bad?",
        "4",
        "",
        "",
    )
    assert second["HITId"] == "3Y"


def test_remarks_name_only_some_lines(tmp_path: Path) -> None:
    remarks = FileRemarks()
    list(read_csv(written(tmp_path, "a,b\n" + "1\n" * 1000), remarks))
    [remark] = remarks.sentences()
    assert remark.endswith("(1000 lines: 2, 3, 4, 5, 6 ...)")


def test_json_that_is_named_as_a_table_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"is JSON, not CSV. Set mephisto\.blueprint\.data_jsonl instead"):
        list(read_file("data_csv", file))


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
        ("data_csv", ",,\n1,2,3\n", "line 1: there are no column names"),
        ("data_csv", "a,b\n1,2\n3,4,5\n", "line 3: 3 values under 2 column names"),
        ("data_csv", 'a,b\n1,2\n1,"2\n3,4\n', "line 3: a quotation mark is never closed"),
        pytest.param("data_csv", LONG + "x", "line 2: a cell has more than 1,048,576 characters", id="long cell"),
        ("data_csv", b"PK\x03\x04 and so on", "is an Excel workbook"),
        ("data_csv", "a,b\n,\n\n,,,\n", "holds no data"),
        ("data_csv", b"a\n\xff\n", "is not UTF-8"),
        ("data_csv", "id,text\n1,niño\n".encode("cp1252"), "is not UTF-8; it seems to be Windows-1252"),
        ("data_csv", "id,text\n1,\u201cquoted\u201d\n".encode("cp1252"), "it seems to be Windows-1252"),
        ("data_csv", "id,text\n1,привет мир\n".encode("cp1251"), "Windows-1251"),
        ("data_csv", "id,text\n1,これは文です\n".encode("cp932"), "it seems to be Shift JIS"),
        ("data_csv", "id,text\n1,中文句子\n".encode("gb18030"), "it seems to be GB 18030"),
        ("data_csv", "id,text\n1,한국어\n".encode("cp949"), "it seems to be EUC-KR"),
        ("data_csv", "id,text\n1,hello\n".encode("utf-16-le"), "is not UTF-8; it seems to be UTF-16"),
        ("data_json", "", "line 1: not JSON"),
        ("data_json", '[\n{"a": 1},\n{"a" 2}]', "line 3: not JSON"),
        pytest.param("data_json", "[" * 100_000, "line 1: not JSON that can be read (nested too deeply)", id="deep"),
        ("data_json", '{"a": 1}\n{"a": 2}', "Write one array, or set data_jsonl"),
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
        list(read_file(setting, file))
    assert str(file) in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize("setting", ["data_csv", "data_json", "data_jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="nowhere cannot be read: No such file"):
        list(read_file(setting, tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        list(read_file(setting, tmp_path))
