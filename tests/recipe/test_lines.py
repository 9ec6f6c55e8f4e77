"""Every key of a TOML file is found on its line, however the file is written."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kdzoo.recipe.lines import Key, find_lines, line_of


def test_tables_arrays_of_tables_and_dotted_keys() -> None:
    text = """\
name = "x"
training.epochs = 3

[teacher]
path = "p"
[teacher.lora]
rank = 8

[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
[stage.options]
alpha = 0.2
[[stage.list]]
a = 1
[[stage.list]]
a = 2
"""
    lines = find_lines(text)
    assert lines["name",] == 1
    assert lines["training", "epochs"] == lines["training",] == 2
    assert lines["teacher",] == 4
    assert lines["teacher", "path"] == 5
    assert lines["teacher", "lora"] == 6
    assert lines["teacher", "lora", "rank"] == 7
    assert lines["stage", 0] == 9
    assert lines["stage", 0, "kind"] == 10
    assert lines["stage", 1] == 11
    assert lines["stage", 1, "options", "alpha"] == 14
    assert lines["stage", 1, "list", 0, "a"] == 16
    assert lines["stage", 1, "list", 1, "a"] == 18


def test_strings_and_comments_are_not_taken_for_keys() -> None:
    text = '''\
a = """
[not.a.table]
b = 1 # no comment
\\""" still inside
ends in quotes"""""
c = \'\'\'
[[neither]]
d = "\'\'\'
# [comment] e = "1
"f.g" = "] } = # \\" x = 1"  # "h" = 1
\'i\' = [ "[", "k = 1" ]
'''
    assert find_lines(text) == {("a",): 1, ("c",): 6, ("f.g",): 10, ("i",): 11, ("i", 0): 11, ("i", 1): 11}


def test_inline_tables_inside_arrays_over_several_lines() -> None:
    text = """\
stage = [
  { kind = "finetune" },  # the teacher
  # and then
  { kind = "distill", options = { alpha = 0.2, a.b = 1979-05-27 07:32:00 } },
  [ 1,
    2 ],
]
last = {}
"""
    lines = find_lines(text)
    assert lines["stage", 0, "kind"] == 2
    assert lines["stage", 1, "options", "alpha"] == 4
    assert lines["stage", 1, "options", "a", "b"] == 4
    assert lines["stage", 2, 0] == 5
    assert lines["stage", 2, 1] == 6
    assert lines["last",] == 8


def test_windows_line_ends_and_spaces_around_keys() -> None:
    assert find_lines('\r\n[ a . "b c" ]\r\nd . e = 1\r\n') == {
        ("a",): 2,
        ("a", "b c"): 2,
        ("a", "b c", "d"): 3,
        ("a", "b c", "d", "e"): 3,
    }


def test_a_key_that_is_not_in_the_file_has_the_line_of_what_is_around_it() -> None:
    lines = find_lines("\n[a]\nb = { c = 1 }\n")
    assert line_of(lines, ("a", "b", "missing")) == 3
    assert line_of(lines, ("a", "missing")) == 2
    assert line_of(lines, ("missing",)) is None


# Documents whose lines are known because they are written line by line.
KEYS = st.sampled_from(["a", "b-1", "c_2", "d e", "f.g", '"', "ü", "\\", "#"])
SCALARS = st.one_of(
    st.sampled_from(["1", "-2.5e3", "true", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", "inf", "0x1F"]),
    st.sampled_from(['"s"', "'[x]'", '"a = \\"1"', '"#"', '"""one"""', '"""a\n[t]\nb = 1"""', "'''\n'\n'''"]),
)
COMMENTS = st.sampled_from(["", "  # x", "# [t] = '\"", "\t#"])


class Writer:
    def __init__(self) -> None:
        self.text = ""
        self.lines: dict[Key, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def key(self, draw: Any, name: str) -> str:
        bare = name.replace("-", "").isalnum() and name.isascii()
        if bare and draw(st.booleans()):
            return name
        if '"' not in name and "\\" not in name and draw(st.booleans()):
            return f"'{name}'" if draw(st.booleans()) else f'"{name}"'
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def value(self, draw: Any, at: Key, depth: int) -> None:
        kind = draw(st.sampled_from(["scalar", "list", "table"] if depth else ["scalar"]))
        if kind == "scalar":
            self.text += draw(SCALARS)
        elif kind == "list":
            self.text += "["
            for number in range(draw(st.integers(0, 3))):
                self.text += draw(st.sampled_from(["", " ", "\n", " # y ]\n\n "]))
                self.lines[(*at, number)] = self.line
                self.value(draw, (*at, number), depth - 1)
                self.text += draw(st.sampled_from([",", " ,", "\n,"]))
            self.text += draw(st.sampled_from(["]", "\n]"]))
        else:
            names = draw(st.lists(KEYS, max_size=3, unique=True))
            self.text += "{ "
            for number, name in enumerate(names):
                self.text += ", " if number else ""
                self.lines[(*at, name)] = self.line
                self.text += f"{self.key(draw, name)} = "
                self.value(draw, (*at, name), depth - 1)
            self.text += " }"


@st.composite
def documents(draw: Any) -> Writer:
    writer = Writer()

    def body(at: Key) -> None:
        for name in draw(st.lists(KEYS, max_size=3, unique=True)):
            writer.text += draw(st.sampled_from(["", "\n", "  ", "# c\n"]))
            writer.lines[(*at, name)] = writer.line
            writer.text += writer.key(draw, name) + draw(st.sampled_from(["=", " = "]))
            writer.value(draw, (*at, name), 2)
            writer.text += draw(COMMENTS) + "\n"

    body(())
    for name in draw(st.lists(st.sampled_from(["t1", "t 2"]), unique=True)):
        writer.lines[name,] = writer.line
        writer.text += f"[ {writer.key(draw, name)} ]{draw(COMMENTS)}\n"
        body((name,))
    for number in range(draw(st.integers(0, 3))):
        writer.lines.setdefault(("list",), writer.line)
        writer.lines["list", number] = writer.line
        writer.text += f"[[list]]{draw(COMMENTS)}\n"
        body(("list", number))
    return writer


def paths_of(value: Any, at: Key = ()) -> set[Key]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ({at} if at else set()).union(*(paths_of(item, (*at, key)) for key, item in inner))


@given(documents())
def test_all_keys_of_any_document_are_on_the_lines_where_they_were_written(writer: Writer) -> None:
    lines = find_lines(writer.text)
    assert lines == writer.lines
    assert set(lines) == paths_of(tomllib.loads(writer.text))
