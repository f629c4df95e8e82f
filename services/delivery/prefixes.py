"""What a phone number has in common with its neighbours, and what kind of number it is."""

from functools import lru_cache
from typing import Final

import phonenumbers

from services.platform.keys.contacts import search_hash
from services.platform.keys.keyring import Ring

# A thousand and ten thousand numbers: who spreads over more than one block of a thousand meets the other.
CUTS: Final = (3, 4)
HASH_BYTES: Final = 16
# What a number's country can be; 001 is that of numbers of no country.
COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS) | {phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY}
KINDS: Final = {
    phonenumbers.PhoneNumberType.FIXED_LINE: "fixed-line",
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed-line-or-mobile",
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll-free",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium-rate",
    phonenumbers.PhoneNumberType.SHARED_COST: "shared-cost",
    phonenumbers.PhoneNumberType.VOIP: "voip",
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER: "personal",
    phonenumbers.PhoneNumberType.PAGER: "pager",
    phonenumbers.PhoneNumberType.UAN: "uan",
    phonenumbers.PhoneNumberType.VOICEMAIL: "voicemail",
    phonenumbers.PhoneNumberType.UNKNOWN: "invalid",
}


def hashes(search: Ring, e164: str) -> bytes:
    """Of each beginning that is watched, side by side: keyed, since a beginning and a masked number are nearly all."""
    return b"".join(hash_of(search, e164[:-cut]) for cut in CUTS)


def hash_of(search: Ring, beginning: str) -> bytes:
    """`beginning` with its plus sign, without blanks."""
    return search_hash(search, "prefix", beginning)[:HASH_BYTES]


def split(joined: bytes | None) -> list[bytes]:
    found = joined or b""
    return [found[at : at + HASH_BYTES] for at in range(0, len(found), HASH_BYTES)]


def shown(e164: str) -> list[str]:
    """As operators read each beginning: `+44 7911 123•••`."""
    number = _parsed(e164)
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL) if number else e164
    return [_dotted(text, cut) for cut in CUTS]


def may_be_block(beginning: str) -> bool:
    """Whether mobile numbers can begin so and go on by as many digits as a block leaves open."""
    numbers = [_parsed(beginning + "0" * cut) for cut in CUTS]
    mobile = phonenumbers.PhoneNumberType.MOBILE
    return any(number and phonenumbers.is_possible_number_for_type(number, mobile) for number in numbers)


def blocks_like(beginning: str) -> list[str]:
    """A thousand and ten thousand numbers of the same country, as an example; empty where nobody knows one."""
    number = _parsed(beginning + "0" * max(CUTS))
    region = phonenumbers.region_code_for_country_code(number.country_code or 0) if number else ""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return shown(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)) if example else []


def _dotted(text: str, cut: int) -> str:
    characters = list(text)
    last = [at for at, character in enumerate(characters) if character.isdigit()][-cut:]
    for at in last:
        characters[at] = "•"
    return "".join(characters)


@lru_cache(maxsize=4096)
def number_type(e164: str) -> str:
    """By libphonenumber's plan of each country; `invalid` where that knows no such number."""
    number = _parsed(e164)
    return KINDS.get(phonenumbers.number_type(number), "invalid") if number else "invalid"


def _parsed(e164: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
