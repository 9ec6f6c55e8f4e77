"""BIRD's description files, as they are: many encodings, odd headers, damage."""

import pytest

from kdzoo.tasks.text_to_sql.bird_descriptions import read_descriptions

HEADER = "original_column_name,column_name,column_description,data_format,value_description\n"


@pytest.fixture
def read(tmp_path):
    def give(content, name="Shop.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_descriptions(tmp_path)

    return give


def test_the_name_in_full_or_else_the_description(read):
    rows = 'Id,identifier,a number,integer,\nT1,,the first  title,text,\n"a b"," name, in full ",,,\nx,,,,\n'
    assert read(HEADER + rows) == {
        ("shop", "id"): "identifier",
        ("shop", "t1"): "the first title",
        ("shop", "a b"): "name, in full",
    }


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Preis in €"),
        ("utf-8-sig", "Preis in €"),
        ("cp1252", "Preis in €"),
        ("latin-1", "prix élevé"),
    ],
)
def test_any_encoding(read, encoding, text):
    assert read(f"{HEADER}Préis,{text},,,\n".encode(encoding)) == {("shop", "préis"): text}


def test_bytes_that_no_encoding_has_are_read_somehow(read):
    assert read(HEADER.encode() + b"id,number \x81\xff,,,\n")["shop", "id"].startswith("number")


def test_columns_are_found_by_their_headings_or_else_by_their_place(read):
    assert read("column_description,ORIGINAL_COLUMN_NAME ,column_name\nwhat it is,id,\n") == {
        ("shop", "id"): "what it is"
    }
    assert read("a,b,c\nid,identifier,\n") == {("shop", "id"): "identifier"}


def test_a_long_description_is_cut_after_a_word(read):
    words = "word " * 40
    (meaning,) = read(f"{HEADER}id,,{words},,\n").values()
    assert meaning == ("word " * 20).strip()
    (meaning,) = read(f"{HEADER}id,,{'x' * 500},,\n").values()
    assert meaning == "x" * 100


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", HEADER.encode(), HEADER.encode() + b"id\n,,\n", b"\0" * 50]
)
def test_files_that_say_nothing(read, content):
    assert read(content) == {}


def test_the_rest_of_a_damaged_file_is_lost_and_no_more(read):
    rows = 'id,identifier,,,\nname,"' + "x" * 200_000 + '",,,\n'
    assert read(HEADER + rows) == {("shop", "id"): "identifier"}
    assert read(HEADER + "a,b,,,\n", "other.csv")["other", "a"] == "b"


def test_line_breaks_within_a_cell(read):
    assert read(f'{HEADER}id,"the\nnumber",,,\r\nx,y,,,\r\n') == {
        ("shop", "id"): "the number",
        ("shop", "x"): "y",
    }


def test_a_folder_that_is_not_there_says_nothing(tmp_path):
    assert read_descriptions(tmp_path / "nowhere") == {}
