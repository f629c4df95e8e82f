"""A webhook that cannot be used stops the start with file, line and what to do."""

from pathlib import Path
from typing import Final

import pytest

from deploy.local.webhooks import file_for, new_secret
from services.delivery.channels.webhooks import judging
from services.delivery.channels.webhooks.files import BadWebhooks, line_of

SECRET: Final = new_secret()
GOOD: Final = """# a comment
channel = "sms"
sender = "Gatepost"
signing_secret_file = "secret"

[secrets]
key = "key"

[request]
url = "https://api.example.com/messages/{{ secrets.key }}"
body = '''
{
  "to": "{{ to }}",
  "text": "{{ text }}",
  "from": "{{ sender }}",
  "ref": "{{ token }}"
}
'''

[request.headers]
Authorization = "Bearer {{ secrets.key }}"

[answer]
reference = "messages.0.id"

[[answer.errors]]
status = 402
reason = "no-credit"

[[answer.errors]]
path = "error.code"
equals = 9
reason = "bad-sender"

[receipts]
secret_file = "secret"
token = "ref"
status = "status"
delivered = ["delivered"]
undelivered = ["failed"]
"""


def faults(folder: Path, text: str, name: str = "gateway", local: bool = False) -> list[str]:
    """What is wrong with it, without its folder."""
    (folder / "secret").write_text(f"{SECRET}\n")
    (folder / "key").write_text("a key")
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    try:
        judging.load(folder, local)
    except BadWebhooks as bad:
        return [line.replace(f"{folder}/", "") for line in str(bad).splitlines()]
    return []


def test_a_good_file_is_loaded_under_its_name(tmp_path: Path):
    assert faults(tmp_path, GOOD) == []
    [found] = judging.load(tmp_path, False)
    assert (found.name, found.source.webhook.channel, found.source.secrets) == ("gateway", "sms", {"key": "a key"})
    assert SECRET not in repr(found)
    assert "a key" not in repr(found)


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_what_make_up_writes_is_good_here_and_nowhere_else(tmp_path: Path, channel: str):
    text = file_for(channel, "http://127.0.0.1:8025", "secret", "secret", "codes@example.com")
    assert faults(tmp_path, text, local=True) == []
    [found] = faults(tmp_path, text)
    assert found.startswith("gateway.toml:7: the address is without TLS, on loopback or on a private address.")


WRONG: Final = [
    ('"{{ to }}"', '"{{ to }"', "gateway.toml:13: unexpected '}'. Mend the template."),
    ('"{{ text }}"', '"{{ text"', "gateway.toml:14: "),
    (
        '"{{ text }}"',
        '"{{ body }}"',
        "gateway.toml:14: 'body' is undefined. It may name to, text, subject,",
    ),
    ('"{{ text }}"', '"{% if html %}{{ bdy }}{% endif %}{{ text }}"', "gateway.toml:14: 'bdy' is undefined."),
    ('"{{ text }}"', '"{{ text.nothing }}"', "gateway.toml:14: "),
    ('"{{ text }}"', '"{{ text + 1 }}"', "gateway.toml:14: does not render (TypeError"),
    ('"{{ text }}"', "{{ text }}", "gateway.toml:14: no JSON, at the latest with values put in"),
    ('"{{ sender }}",', '"{{ sender }}"', "gateway.toml:16: no JSON"),
    ('"{{ to }}"', '{{ to | replace("+", "") }}', "gateway.toml:13: no JSON, at the latest with values put in"),
    ('"{{ to }}"', "\"{% filter replace('\\\\', '') %}{{ to }}{% endfilter %}\"", "gateway.toml:13: no JSON"),
    ('"{{ to }}"', '"me"', "gateway.toml:12: does not say who gets it. Write {{ to }} into it."),
    ('"{{ text }}"', '"a code"', "gateway.toml:12: does not say the text. Write {{ text }} into it, or {{ html }}."),
    ('"{{ token }}"', '"7"', "gateway.toml:12: names no message to its receipts. Write {{ token }} into it."),
    ('sender = "Gatepost"\n', "\n", "gateway.toml:12: names a sender; say which"),
    ('"{{ to }}"', '"{{ to.__class__.__mro__ }}"', "gateway.toml:13: does not render (SecurityError"),
    ('"Bearer {{ secrets.key }}"', '"Bearer {{ secrets.other }}"', "gateway.toml:21: 'dict object' has no attribute"),
    ('"Bearer {{ secrets.key }}"', '"Bearer {{ k }}"', "gateway.toml:21: 'k' is undefined."),
    ('"Bearer {{ secrets.key }}"', r'"Bearer\nX: y"', "gateway.toml:21: a header takes one line of ASCII."),
    ('"Bearer {{ secrets.key }}"', '"{{ secrets[secrets.key] }}"', "gateway.toml:21: 'dict object' has no attribute"),
    ("Authorization =", "webhook-id =", "gateway.toml:21: the header webhook-id is written by Gatepost. Leave it out."),
    ("Authorization =", "Host =", "gateway.toml:21: the header Host is written by Gatepost."),
    ("Authorization =", '"X Y" =', "gateway.toml:20: Expected `string` matching regex"),
    ("https://api", "http://api", "gateway.toml:10: the address is without TLS"),
    ("https://api.example.com", "https://10.1.2.3", "gateway.toml:10: the address is without TLS"),
    ("https://api.example.com", "https://{{ secrets.key }}", "gateway.toml:10: write scheme and host out"),
    ("https://api.example.com", "https://u:p@api.example.com", "gateway.toml:10: write scheme and host out"),
    ('{{ secrets.key }}"\nbody', '#a"\nbody', "gateway.toml:10: write scheme and host out"),
    ('{{ secrets.key }}"\nbody', 'ü"\nbody', "gateway.toml:10: the address holds more than ASCII"),
    ('[answer]\nreference = "messages.0.id"', "[answer]", "gateway.toml:23: Object missing required field `reference`"),
    ('"messages.0.id"', '"messages[0].id"', "gateway.toml:24: Expected `string` matching regex"),
    ("status = 402\n", "", "gateway.toml:27: says neither status nor path"),
    ('path = "error.code"\n', "status = 400\n", "gateway.toml:32: what should equal this? Give a path."),
    ('path = "error.code"', 'path = "error[code]"', "gateway.toml:31: a path is like errors.0.code."),
    ('"bad-sender"', '"Bad sender"', "gateway.toml:33: a reason is a word of a-z and -"),
    (
        '"bad-sender"',
        '"bad-sender"\nclass = "sometimes"',
        "gateway.toml:34: Invalid value: one of permanent, retryable, unknown",
    ),
    ('["failed"]', '["failed", "delivered"]', "gateway.toml:40: delivered stands in both lists."),
    ('channel = "sms"', 'channel = "fax"', "gateway.toml:2: Invalid value: one of email, sms"),
    ('channel = "sms"', 'chanel = "sms"', "gateway.toml:2: Object contains unknown field `chanel`"),
    ('channel = "sms"', "channel = sms", "gateway.toml:2: no TOML"),
    ('key = "key"', 'key = "gone"', "gateway.toml:7: gone: No such file or directory. Put the secret there."),
    (
        'signing_secret_file = "secret"',
        'signing_secret_file = "key"',
        "gateway.toml:4: key: not `whsec_` and",
    ),
    ('[receipts]\nsecret_file = "secret"', '[receipts]\nsecret_file = "key"', "gateway.toml:36: key: not `whsec_`"),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str):
    assert old in GOOD
    found = faults(tmp_path, GOOD.replace(old, new))
    assert found
    assert found[0].startswith(told), found
    assert SECRET not in "".join(found)
    assert "a key" not in "".join(found)


@pytest.mark.parametrize("name", ["twilio", "ses", "Gateway", "a", "my gateway", "1st"])
def test_a_files_name_is_a_providers(tmp_path: Path, name: str):
    [found] = faults(tmp_path, GOOD, name)
    assert "its name is the provider's" in found


def test_every_file_is_judged_and_others_are_left_alone(tmp_path: Path):
    (tmp_path / ".hidden.toml").write_text("no TOML")
    (tmp_path / "notes.txt").write_text("no TOML")
    (tmp_path / "one.toml").write_bytes(b"# \xff")
    found = faults(tmp_path, GOOD.replace('"{{ to }}"', '"{{ too }}"'))
    assert [line.partition(": ")[0] for line in found] == ["gateway.toml:13", "one.toml:1"]


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_files_is_a_mistake(tmp_path: Path, made: bool):
    folder = tmp_path / "webhooks"
    if made:
        folder.mkdir()
    with pytest.raises(BadWebhooks, match="GATEPOST_WEBHOOKS"):
        judging.load(folder, False)


def test_a_form_is_judged_as_a_form(tmp_path: Path):
    start, end = GOOD.index("body = "), GOOD.index("[request.headers]")
    form = "format = \"form\"\nbody = '''\nto={{ to }}&\ntext={{ text }}&ref={{ token }}&from={{ sender }}\n'''\n\n"
    text = GOOD[:start] + form + GOOD[end:]
    assert faults(tmp_path, text) == []
    [found] = faults(tmp_path, text.replace("text={{ text }}", "{{ text }}"))
    assert found.startswith("gateway.toml:13: no form")


def test_lines_are_those_of_the_file_wherever_a_text_begins():
    text = "a = '''b\nc'''\n[x]\nb = '''\nfirst\n'''\n[[y.z]]\nq = 1\n[[y.z]]\nq = 2\n"
    assert line_of(text, ("a",), 2) == 2
    assert line_of(text, ("x", "b"), 1) == 5
    assert line_of(text, ("y", "z", 1, "q")) == 10
    assert line_of(text, ("y", "z", 1, "missing")) == 9
    assert line_of(text, ("nothing",)) == 1


@pytest.mark.parametrize("bad", ["text | nofilter", "text is notest"])
def test_a_filter_that_nobody_gives_is_a_fault_with_its_line(tmp_path: Path, bad: str):
    (told,) = faults(tmp_path, GOOD.replace("{{ text }}", f"{{{{ {bad} }}}}"))
    assert told.startswith(f"gateway.toml:{line_of(GOOD, ('request', 'body'), 3)}: No ")
    assert told.endswith("'. Mend the template.")


def test_all_that_does_not_fit_is_told_at_once(tmp_path: Path):
    text = GOOD.replace('channel = "sms"', 'channel = "fax"').replace('sender = "Gatepost"', "colour = 1")
    found = faults(
        tmp_path, text.replace("status = 402", 'class = "sometimes"').replace('"messages.0.id"', '"messages[0]"')
    )
    assert [line.split(":")[1] for line in found] == ["2", "3", "24", "27"], found
