"""What the command line prints of an answer."""

import pytest

from services.platform.cli import show

ROW = {
    "id": "0197a0b0-0000-7000-8000-000000000000",
    "name": "Ada",
    "locked": False,
    "phone": None,
    "scopes": ["a", "b"],
}


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")

    def wide(columns):
        monkeypatch.setenv("COLUMNS", str(columns))

    return wide


def test_names_and_values_are_words_and_what_is_inside_is_named_after_it(capsys):
    show({**ROW, "two_factor": {"sms": True, "email": False}, "claims": {}}, False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        *(["name", "Ada"], ["locked", "no"], ["phone"], ["scopes", "a,", "b"]),
        *(["two_factor.sms", "yes"], ["two_factor.email", "no"], ["claims"]),
    ]


def test_a_table_that_fits_is_a_row_a_line(capsys, terminal):
    terminal(120)
    show([ROW, ROW], False, list(ROW))
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_table_wider_than_the_terminal_is_a_value_a_line(capsys, terminal):
    terminal(50)
    show([ROW, ROW], False, list(ROW))
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["id", ROW["id"]]
    assert len(out) == 2 * (len(ROW) + 1)


def test_a_table_without_rows_says_so(capsys):
    show([], False, ["at"])
    assert capsys.readouterr().out == "none\n"


def test_a_table_needs_no_parts_of_a_second(capsys):
    show([{"at": "2026-03-01T12:00:00.123456Z"}], False, ["at"])
    assert "2026-03-01T12:00:00Z" in capsys.readouterr().out


def test_what_is_piped_on_is_never_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    show([ROW], False, list(ROW))
    assert ROW["id"] in capsys.readouterr().out.splitlines()[1]
