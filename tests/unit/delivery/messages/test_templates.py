"""The built-in wording, and what is refused when wording is loaded: with file, line and what to do."""

import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.local.paths import ROOT
from services.delivery.messages import gsm7, judging
from services.delivery.messages.sources import BUILT_IN, NAMES, BadTemplates, read
from services.delivery.settings import DeliverySettings

HOST = "login.example.com"
LONG_HOST = "sign-in.accounts.a-rather-long-customer-name.of-some-group.example.com"


@pytest.fixture(scope="module")
def library():
    return judging.load(None, HOST)


def test_every_built_in_locale_has_every_message():
    sources = read(None)
    tags = {name.partition("/")[0] for name in sources if "/" in name}
    assert {"en", "de", "fr", "es", "nl", "pt", "it"} <= tags
    assert {f"{tag}/{name}{end}" for tag in tags for name in NAMES for end in (".txt", ".sms.txt")} <= sources.keys()


def test_every_sms_fits_one_segment_with_the_longest_of_everything_and_ends_with_the_bound_code():
    library = judging.load(None, LONG_HOST)
    for tag in library.locales.values():
        for name in NAMES:
            for values in judging.examples(name, "M" * judging.LONGEST_ACCOUNT):
                text = library.sms(name, tag, values)
                whole = judging.bound(text, LONG_HOST, "0123456789") if name == "code" else text
                assert not gsm7.foreign(whole)
                assert gsm7.segments(whole) == 1
                assert gsm7.septets(whole) == sum(2 if c in "^{}\\[~]|€" else 1 for c in whole) <= 160
                if name == "code":
                    assert whole.splitlines()[-1] == f"@{LONG_HOST} #0123456789"


def test_a_host_that_leaves_no_room_is_refused():
    with pytest.raises(BadTemplates, match=r"fr/code\.sms\.txt:1: takes \d+ of 160 characters, a code of ten digits"):
        judging.load(None, "h" * 80)


def test_every_mail_shows_its_code_once_and_not_in_its_subject(library):
    for tag in library.locales.values():
        for values in judging.examples("code", "Example"):
            mail = library.mail("code", tag, values)
            assert mail.text.split("\n\n").count("0123456789") == 1
            assert mail.html.count("0123456789") == 1
            assert "0123456789" not in mail.subject
            assert judging.EXAMPLE_TIME in mail.text
            assert ("Firefox on Linux" in mail.text) == (values["device"] is not None)
            assert not re.search(r"<(a|img|link|style|script)\b|href|src=|url\(", mail.html)


def test_html_says_what_the_text_says_and_escapes_it(library):
    values = next(judging.examples("code", '<b> & "Co"'))
    mail = library.mail("code", "en", values)
    assert '<b> & "Co"' in mail.text
    assert "&lt;b&gt; &amp; &#34;Co&#34;" in mail.html
    assert "<b>" not in mail.html


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/").replace("_txt", ".txt").replace("_sms", ".sms").replace(
            "_html", ".html"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


GOOD_MAIL = "Subject: S\n\nHello\n\n{{ code }}\n\nBye\n"
REFUSED = [
    ("de/code.sms.txt", "{{ code }}\n{% if %}", 2, "Mend the template"),
    ("de/code.sms.txt", "ok {{ code }}\n{{ cod }}", 2, "'cod' is undefined. It may name account, code,"),
    ("de/locked.sms.txt", "\n\nx {{ code }}", 3, "'code' is undefined"),
    ("de/code.sms.txt", "{{ code }} {{ ''.__class__.__mro__ }}", 1, "unsafe"),
    ("de/code.sms.txt", "{{ code }}\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
    ("de/code.sms.txt", "{% include 'nothing.txt' %}", 1, "TemplateNotFound"),
    ("de/code.sms.txt", "{{ code }}\nContraseña: código", 2, "'ó', which the SMS alphabet (GSM-7) does not have"),
    ("de/code.sms.txt", "{{ code }} " + "x" * 200, 1, "takes 243 of 160 characters"),
    ("de/code.sms.txt", "{{ code }} " + "€" * 65, 1, "Shorten it by"),
    ("de/code.sms.txt", "no code", 1, "does not say the code"),
    ("de/code.sms.txt", "{{ code }}\nhttps://x.example/{{ code }}", 2, "holds a link"),
    ("de/code.txt", "Hello\n\n{{ code }}", 1, "has no subject"),
    ("de/code.txt", "Subject: {{ code }}\n\n{{ code }}", 1, "shows the code in its subject"),
    ("de/code.txt", "Subject: S\n\nIt is {{ code }}.", 1, "Let {{ code }} stand once between two empty lines"),
    ("de/code.txt", "Subject: S\n\n{{ code }}\n\n{{ code }}", 1, "stand once"),
    ("de/code.txt", GOOD_MAIL + "\nwww.x.example", 9, "holds a link"),
    ("email.html", "<p>{{ code }}</p>\n<p><a href='x'>{{ code }}</a></p>", 2, "holds <a>"),
    ("email.html", "<p>{{ code }}</p>\n\n<img alt='' src='x'>", 3, "holds <img>"),
    ("email.html", "{{ code }}\n<p style='background: URL(x)'>", 2, "loads something from elsewhere"),
    ("email.html", "{{ code }}\n<p onclick='x'>", 2, "the attribute onclick"),
    ("email.html", "{{ code }}\n<meta http-equiv='refresh' content='0'>", 2, "the attribute http-equiv"),
    ("email.html", "{{ code }}<style>p {}</style>", 1, "holds <style>"),
    ("email.html", "{{ code }}<!--[if mso]>x<![endif]-->", 1, "holds a comment"),
    ("email.html", "<p>{{ subject }}</p>", 1, "does not show the code"),
    ("de/email.html", "{{ code }}\n{{ nothing }}", 2, "'nothing' is undefined"),
]


@pytest.mark.parametrize(("name", "text", "line", "why"), REFUSED)
def test_what_cannot_be_used_is_refused_by_file_and_line(tmp_path, name, text, line, why):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(BadTemplates) as refused:
        judging.load(tmp_path, HOST)
    told = str(refused.value).splitlines()
    assert any(each.startswith(f"{path}:{line}: ") and why in each for each in told), told
    assert all(each.startswith(f"{tmp_path}/") for each in told)


def test_all_faults_are_told_at_once_and_each_once(tmp_path):
    folder(tmp_path, de__code_sms_txt="no code", fr__code_txt="no subject")
    with pytest.raises(BadTemplates) as refused:
        judging.load(tmp_path, HOST)
    told = str(refused.value).splitlines()
    assert len(told) == len(set(told)) == 3


@pytest.mark.parametrize("name", ["de/cod.txt", "readme.txt", "de/code.html", "nonsense!/code.txt", "de/more/code.txt"])
def test_a_file_that_nothing_would_use_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    with pytest.raises(BadTemplates, match="nothing would use it"):
        judging.load(tmp_path, HOST)


def test_a_file_that_is_not_utf8_is_refused_by_its_line(tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "code.txt").write_bytes(b"Subject: S\n\n\xe4")
    with pytest.raises(BadTemplates, match=r"code\.txt:3: not UTF-8"):
        judging.load(tmp_path, HOST)


def test_a_folder_that_is_none_and_a_default_without_wording_are_refused(tmp_path):
    with pytest.raises(BadTemplates, match="GATEPOST_TEMPLATES"):
        judging.load(tmp_path / "nowhere", HOST)
    with pytest.raises(BadTemplates, match="GATEPOST_LOCALE: there is no wording in ja"):
        judging.load(None, HOST, "ja")


def test_single_files_are_overridden_and_what_is_missing_is_built_in(tmp_path):
    folder(tmp_path, de__code_sms_txt="Code: {{ code }}")
    library = judging.load(tmp_path, HOST)
    values = next(judging.examples("code", "E"))
    assert library.sms("code", "de", values) == "Code: 0123456789"
    assert "Ihr Anmeldecode" in library.mail("code", "de", values).subject
    assert "sign-in code" in library.sms("code", "en", values)


def test_a_new_locale_takes_the_rest_from_the_wider_one_and_then_from_the_default(tmp_path):
    (tmp_path / "de-AT").mkdir()
    (tmp_path / "de-AT" / "code.sms.txt").write_text("Servus: {{ code }}")
    (tmp_path / "sv").mkdir()
    (tmp_path / "sv" / "code.txt").write_text("Subject: Din kod\n\n{{ code }}\n")
    library = judging.load(tmp_path, HOST, "fr")
    values = next(judging.examples("code", "E"))
    assert library.locale("de-at-1996") == "de-AT"
    assert library.sms("code", "de-AT", values).startswith("Servus")
    assert library.mail("code", "de-AT", values).subject == "Ihr Anmeldecode"
    assert library.mail("code", "sv", values).subject == "Din kod"
    assert "connexion" in library.sms("code", "sv", values)
    assert 'lang="sv"' in library.mail("code", "sv", values).html


def test_hidden_files_are_left_alone(tmp_path):
    """A mounted ConfigMap has them, and so has a checkout."""
    data = tmp_path / "..2026"
    (data / "de").mkdir(parents=True)
    (data / "de" / "code.sms.txt").write_text("Code: {{ code }}")
    (tmp_path / "..data").symlink_to(data)
    (tmp_path / "de").symlink_to(tmp_path / "..data" / "de")
    (tmp_path / ".gitignore").write_text("x")
    library = judging.load(tmp_path, HOST)
    assert library.sms("code", "de", next(judging.examples("code", "E"))) == "Code: 0123456789"


def test_every_built_in_file_is_package_data():
    """An installed wheel has only what these patterns name."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    patterns = data["services.delivery.messages"]
    for path in (path for path in BUILT_IN.rglob("*") if path.is_file()):
        assert any(fnmatchcase(path.relative_to(BUILT_IN.parent).as_posix(), each) for each in patterns), path


@pytest.mark.parametrize("host", ["https://x.example", "x.example/", "x y", "x.example:443", "@x", ""])
def test_a_host_that_is_none_stops_the_start(host):
    told: dict[str, Any] = {
        "kafka": "127.0.0.1:1",
        "database": "postgresql://x@127.0.0.1/x",
        "keys": "/",
        "smtp_host": "127.0.0.1",
    }
    assert DeliverySettings(**told, code_host="login.x.example").bound_host == "login.x.example"
    with pytest.raises(ValidationError, match="code_host"):
        DeliverySettings(**told, code_host=host)
