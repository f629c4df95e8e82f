"""The webhook of docs/operations.md is one that delivery loads, and sends what the page says."""

import json
import re
from pathlib import Path
from typing import Final

from deploy.local.webhooks import new_secret
from services.delivery.channels.webhooks import judging
from services.delivery.channels.webhooks.rendering import VALUES, values_of
from services.delivery.provider import Message
from tests.contract.provider_errors import PAGE

TOML: Final = re.compile(r"```toml\n(.*?)```", re.S)


def loaded(folder: Path, text: str) -> judging.Loaded:
    (folder / "key").write_text("live_key")
    (folder / "receipts.secret").write_text(new_secret())
    (folder / "messagebird.toml").write_text(text.replace("/run/secrets/messagebird.key", "key"))
    [found] = judging.load(folder, local=False)
    return found


def test_the_worked_example_is_loaded_and_writes_a_request(tmp_path: Path):
    request, _ = TOML.findall(PAGE.read_text())
    found = loaded(tmp_path, request)
    values = values_of(Message("an-id", "+4915112345678", "", 'Your "code"', token="rc_x"), "Gatepost", "")
    written = found.parts.render(values | {"secrets": found.source.secrets})
    assert (written.url, written.headers) == (
        "https://rest.messagebird.com/messages",
        {"Authorization": "AccessKey live_key"},
    )
    assert json.loads(written.body) == {
        "originator": "Gatepost",
        "recipients": ["4915112345678"],
        "body": 'Your "code"',
        "reference": "an-id",
    }


def test_the_receipts_of_the_page_are_read_once_the_request_names_the_token(tmp_path: Path):
    request, receipts = TOML.findall(PAGE.read_text())
    found = loaded(tmp_path, request.replace("{{ id }}", "{{ token }}") + receipts)
    assert found.source.receipts is not None


def test_the_page_lists_every_value_that_a_template_may_name():
    [row] = [line for line in PAGE.read_text().splitlines() if line.startswith("| `request.body`")]
    assert set(re.findall(r"`(\w+)`", row)) == set(VALUES)
