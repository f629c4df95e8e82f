"""`gatepost providers check` and `errors` over a folder of webhooks; nothing has to run for either."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local.webhooks import file_for, new_secret
from services.delivery.channels import catalogue
from services.delivery.channels.webhooks import judging
from services.delivery.channels.webhooks.files import BadWebhooks
from services.delivery.commands import providers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(new_secret())
    text = file_for("sms", "http://127.0.0.1:8025", "secret", "secret", "codes@example.com")
    (tmp_path / "gateway.toml").write_text(text)
    return tmp_path


def test_a_good_folder_is_listed(folder: Path):
    done = CliRunner().invoke(providers, ["check", str(folder), "--local", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, [{"name": "gateway", "channel": "sms", "receipts": True}])
    shown = CliRunner().invoke(providers, ["check", str(folder), "--local"])
    assert (shown.exit_code, "gateway" in shown.stdout) == (0, True)


def test_a_bad_one_is_told_with_file_and_line(folder: Path):
    (folder / "broken.toml").write_text('channel = "sms"\n')
    done = CliRunner().invoke(providers, ["check", str(folder)])
    assert isinstance(done.exception, BadWebhooks)
    assert "broken.toml:1: Object missing required field `request`" in str(done.exception)


def test_plain_http_that_the_start_refuses_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    done = CliRunner().invoke(providers, ["check", str(folder)])
    assert "gateway.toml" in str(done.exception)
    assert "is without TLS" in str(done.exception)
    monkeypatch.setenv("GATEPOST_ALLOW_INSECURE", "provider-loopback")
    assert CliRunner().invoke(providers, ["check", str(folder)]).exit_code == 0


def test_a_file_is_no_folder(folder: Path):
    done = CliRunner().invoke(providers, ["check", str(folder / "gateway.toml")])
    assert f"{folder / 'gateway.toml'} is no folder of webhooks" in str(done.exception)


def test_what_its_rules_say_stands_beside_what_vendors_publish(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEPOST_WEBHOOKS", str(folder))
    done = CliRunner().invoke(providers, ["errors", "--provider", "gateway", "--json"])
    rows = json.loads(done.stdout)
    assert [(row["provider"], row["code"], row["reason"]) for row in rows] == [
        ("gateway", "1001", "invalid-number"),
        ("gateway", "2001", "unreachable"),
    ]
    assert all(row["means"] and row["next"] for row in rows)


def test_a_timeline_explains_the_codes_of_a_webhook(folder: Path):
    found = [
        {"provider": "gateway", "reason": "invalid-number:1001"},
        {"provider": "gateway", "reason": "invalid-number:1001"},
        {"provider": "gateway", "reason": "refused:1001"},
        {"provider": "twilio", "reason": "unreachable:2001"},
        {"provider": "twilio", "reason": "unreachable:30003"},
    ]
    explained = catalogue.explained(found, judging.load(folder, local=True))
    assert [(one["provider"], one["code"]) for one in explained] == [("twilio", "30003"), ("gateway", "1001")]
