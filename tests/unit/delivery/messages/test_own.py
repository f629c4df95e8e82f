"""An account's own strings: what is taken, what is refused, and what goes out."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.messages import gsm7, judging, own
from services.delivery.messages.own import Texts, Wording
from services.delivery.messages.words import Facts, Words, device_of

HOST = "login.example.com"
WORDS = Words(judging.load(None, HOST), HOST)
AT = datetime(2026, 11, 25, 14, 3, tzinfo=UTC)
ACCOUNT = UUID(int=7)


def check(**fields) -> None:
    own.check(Wording(**fields), WORDS.library, HOST)


def sms(text: str, tag: str = "en", **more) -> Wording:
    return Wording(texts={tag: Texts(sms=text)}, **more)


@pytest.mark.parametrize("sender", ["+442079460101", "60123", "EXAMPLE", "My Shop 24", "a", "12a", "Abcdefghijk"])
def test_senders_that_networks_know(sender):
    check(sms_sender=sender)


@pytest.mark.parametrize(
    "sender",
    ["", "12", "123456789", "+0123456789", "+44 20", "Abcdefghijkl", "Bürger", "A_B", " A", "A ", "A  B", "a@b", "A\n"],
)
def test_senders_that_no_network_knows_are_refused(sender):
    with pytest.raises(own.BadWording, match=r"sms_sender is a number .* short code .* at least one letter"):
        check(sms_sender=sender)


@pytest.mark.parametrize(
    "name", ["Bank <x@bank.example>", "security@bank.example", 'a"b', "x" * 61, "a\nBcc: b", " a", "{code}"]
)
def test_a_display_name_is_no_address(name):
    with pytest.raises(own.BadWording, match="email_sender"):
        check(email_sender=name)


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("sms", "{code}, {account}, {minutes}"),
        ("email_subject", "{account}, {minutes}"),
        ("email_greeting", "{account}"),
        ("email_sign_off", "{account}"),
    ],
)
def test_each_string_says_which_placeholders_it_takes(field, allowed):
    with pytest.raises(own.BadWording) as refused:
        check(texts={"de-AT": Texts(**{field: "Hello {user}"})})
    assert refused.value.field == f"texts.de-AT.{field}"
    assert f"the placeholders here are {allowed}" in str(refused.value)


def test_a_code_stands_in_no_subject():
    with pytest.raises(own.BadWording, match=r"texts.en.email_subject has something else in braces"):
        check(texts={"en": Texts(email_subject="{code} is your code")})


def test_an_sms_says_the_code():
    with pytest.raises(own.BadWording, match=r"does not say {code}"):
        check(texts={"en": Texts(sms="Hello")})


def test_an_sms_that_would_not_fit_with_its_values_is_refused_and_says_by_how_much():
    last = len(f"\n\n@{HOST} #0123456789")
    fits = "{code} " + "x" * (160 - last - 11)
    check(texts={"en": Texts(sms=fits)})
    with pytest.raises(own.BadWording, match=r"texts.en.sms takes 161 of 160 characters.*Shorten it by 1"):
        check(texts={"en": Texts(sms=fits + "x")})
    named = fits[: -len("Example Bank ")] + " {account}"
    check(texts={"en": Texts(sms=named)}, account_name="Example Bank")
    with pytest.raises(own.BadWording, match="takes 162"):
        check(texts={"en": Texts(sms=named)}, account_name="Example Bank€")


@given(st.text(st.sampled_from("ab €^é{}"), max_size=170), st.text(st.sampled_from("AB€ü"), min_size=1, max_size=30))
def test_what_is_taken_is_one_segment_whatever_the_code(middle, name):
    wording = sms("{code} " + middle + " {account}", account_name=name)
    try:
        own.check(wording, WORDS.library, HOST)
    except own.BadWording:
        return
    for code in ("123456", "9999999999"):
        written = WORDS.sms("code", wording, "en", Facts(AT, None, code, 10))
        assert gsm7.segments(written.text) == 1
        assert written.text.splitlines()[-1] == f"@{HOST} #{code}"


def test_a_letter_that_an_sms_cannot_carry_is_named():
    with pytest.raises(own.BadWording, match="'ș', which the SMS alphabet"):
        check(texts={"en": Texts(sms="{code} aș")})
    check(account_name="Škoda")  # no built-in SMS says it
    with pytest.raises(own.BadWording, match=r"texts.en.sms holds 'Š'"):
        check(account_name="Škoda", texts={"en": Texts(sms="{code} {account}")})


def test_a_locale_without_templates_is_refused():
    check(texts={"de-AT": Texts(), "*": Texts(), "PT-BR": Texts()})
    with pytest.raises(own.BadWording, match=r"texts.ja has no templates: there are de, en, es, fr, it, nl, pt"):
        check(texts={"ja": Texts()})
    with pytest.raises(own.BadWording, match="texts is by locale"):
        check(texts={"no locale": Texts()})
    with pytest.raises(own.BadWording, match="twice"):
        check(texts={"de": Texts(), "DE": Texts()})
    with pytest.raises(own.BadWording, match="at most 50"):
        check(texts={f"en-{n:03d}": Texts() for n in range(51)})


TEXTS = {
    "de": Texts(sms="{code} von {account}", email_greeting="Servus,"),
    "de-AT": Texts(email_greeting="Griaß di,"),
    "*": Texts(email_greeting="Dear member,", email_sign_off="{account}"),
}


@pytest.mark.parametrize(
    ("wanted", "greeting", "line"),
    [
        ("de-AT", "Griaß di,", "1234 von Example"),
        ("de-CH", "Servus,", "1234 von Example"),
        ("fr", "Dear member,", "1234 est votre code"),
        ("ja", "Dear member,", "1234 is your sign-in code"),
        (None, "Dear member,", "1234 is your sign-in code"),
    ],
)
def test_each_string_is_the_accounts_in_that_language_or_for_all_or_the_templates(wanted, greeting, line):
    wording = Wording(account_name="Example", texts=TEXTS, sms_sender="EXAMPLE", email_sender="Example Ltd")
    facts = Facts(AT, None, "1234", 3)
    mail = WORDS.mail("code", wording, wanted, facts)
    assert mail.text.startswith(f"{greeting}\n")
    assert mail.text.endswith("\n\nExample\n")
    assert mail.sender == "Example Ltd"
    written = WORDS.sms("code", wording, wanted, facts)
    assert written.text.startswith(line)
    assert written.sender == "EXAMPLE"


def test_a_notice_keeps_its_own_words_and_takes_names_and_greeting():
    wording = Wording(account_name="Example", texts=TEXTS, email_sender="Example Ltd")
    mail = WORDS.mail("locked", wording, "de", Facts(AT))
    assert mail.subject == "Ihre Anmeldung ist gesperrt"
    assert mail.text.startswith("Servus,\n\nIhre Anmeldung bei Example ")
    assert "2026-11-25 14:03 UTC" in mail.text
    assert "gesperrt" in WORDS.sms("locked", wording, "de", Facts(AT)).text


def test_what_does_not_fit_any_more_is_left_out_and_the_code_goes_out_all_the_same():
    words = Words(WORDS.library, HOST)
    words.update([(ACCOUNT, sms("{code} " + "x" * 120, sms_sender="EXAMPLE"))])
    assert words.of(ACCOUNT) == own.Wording()
    words.update([(ACCOUNT, sms("{code} fits"))])
    assert words.sms("code", words.of(ACCOUNT), None, Facts(AT, None, "1")).text.startswith("1 fits")
    words.update([(ACCOUNT, None)])
    assert words.of(ACCOUNT) == own.Wording()


def test_a_preview_is_what_goes_out_with_an_example_code():
    shown = WORDS.preview("code", sms("{code} it is"), "en-GB", AT)
    assert shown.locale == "en"
    assert shown.sms.text == f"123456 it is\n\n@{HOST} #123456"
    assert (shown.sms.septets, shown.sms.segments) == (len(shown.sms.text), 1)
    assert "123456" in shown.email.text
    assert "123456" not in shown.email.subject


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Firefox on Linux", "Firefox on Linux"),
        ("  Grace's   iPhone 15 ", "Grace s iPhone 15"),
        ("Téléphone (bleu)", "Téléphone (bleu)"),
        ("x" * 24 + " " + "y" * 24, "x" * 24 + " " + "y" * 15),
        ("https://evil.example/?c=1", "https evil example c 1"),
        ("a\u202eb\nBcc: c", "a b Bcc c"),
        ("<b>bold</b>", "b bold b"),
        ("0197a0b0-0000-7000-8000-000000000000", None),
        ("c29tZSBvcGFxdWUgaWQgb2YgYSBkZXZpY2U", None),
        ("Call +1 800 555 0100", None),
        ("Your code is 482913", None),
        ("…", None),
        ("", None),
        (None, None),
    ],
)
def test_a_device_reads_as_a_name_or_is_not_shown(given, shown):
    assert device_of(given) == shown


@given(st.text(max_size=600))
def test_a_device_can_be_neither_link_nor_line_nor_code(given):
    shown = device_of(given)
    if shown is not None:
        assert 0 < len(shown) <= 40
        assert not set(shown) & set("<>\"'&/:@.\n\r{}#")
        assert not any(part.isdigit() and len(part) > 4 for part in shown.split())
