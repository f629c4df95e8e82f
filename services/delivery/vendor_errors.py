"""A vendor's published errors: what each code means to a message, and to whoever looks at it.

Each vendor has one table, in its own file of `channels/`; `docs/operations.md` shows them. A reason is a word, and
behind it the vendor's code where there is one: `unreachable:30003`.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, assert_never

from services.delivery.provider import Blame, Permanent, Retryable, Unknown

Kind = Literal["retryable", "permanent", "unknown"]
RETRYABLE: Final = "retryable"
PERMANENT: Final = "permanent"
UNKNOWN: Final = "unknown"
LONGEST_CODE: Final = 40

# Who is to blame for a permanent error; the number, where its word stands in neither.
PROVIDERS_OWN: Final = frozenset({"provider-credentials", "account-suspended", "no-credit", "limit-spent"})
MAY_GO_ELSEWHERE: Final = frozenset(
    {
        "bad-sender",
        "carrier-error",
        "country-blocked",
        "filtered",
        "fraud-blocked",
        "no-route",
        "rate-limited",
        "too-expensive",
        "trial-account",
        "unregistered-sender",
    }
)
# What is wrong with a number or a mailbox, or with who has it: it says nothing of the provider.
RECIPIENTS_OWN: Final = frozenset(
    {
        "blocked",
        "expired-there",
        "invalid-address",
        "invalid-number",
        "landline",
        "mailbox-busy",
        "not-a-mobile",
        "opted-out",
        "unknown-number",
        "unreachable",
    }
)

# What to do next, where several codes ask for the same.
ASK_USER: Final = "Ask the user for the right mobile number."
ASK_CARRIER: Final = "The user has to ask their carrier; meanwhile the code comes by e-mail."
CHECK_PHONE: Final = "The user switches the phone on or finds reception, then asks for the code again."
CHECK_FROM: Final = "Set a sender (…_FROM) that the account owns and the country allows."
CHECK_SETTINGS: Final = "Compare the provider's settings with its console; restart delivery."
CONTENT: Final = "Ask the provider's support why codes are filtered; register sender and template."
FRAUD: Final = "Look for a flood of sends to that prefix; let the provider unblock it if it is genuine."
NOTHING: Final = "Nothing: it mends itself. If it lasts, see the provider's status page."
OPT_IN: Final = "The user texts START to the sender, or uses e-mail."
PAY: Final = "Top up the account, or raise its limit."
REGISTER: Final = "Finish the sender's registration in the provider's console."
REPORT: Final = "A defect here: report it with this code."
SLOWER: Final = "Nothing at a peak; if it lasts, ask the provider for a higher rate or use more senders."
SUPPORT: Final = "Ask the provider's support."


class VendorError(NamedTuple):
    """`code` as the vendor writes it, the reason's word, the class, the vendor's meaning, the operator's next step."""

    code: str
    word: str
    kind: Kind
    meaning: str
    next: str

    @property
    def reason(self) -> str:
        return reason(self.word, self.code)


class VendorErrors:
    """One vendor's table."""

    def __init__(self, vendor: str, source: str, errors: Iterable[VendorError]) -> None:
        self.vendor, self.source = vendor, source
        self._by_code = {error.code: error for error in errors}

    def __iter__(self) -> Iterator[VendorError]:
        return iter(self._by_code.values())

    def of(self, code: str | None) -> VendorError | None:
        return self._by_code.get(code or "")

    def reason_of(self, code: str | None) -> str:
        known = self.of(code)
        return known.reason if known else reason("refused", code)


def reason(word: str, code: str | None) -> str:
    return f"{word}:{code}" if code else word


def blame_of(word: str) -> Blame:
    if word in PROVIDERS_OWN:
        return Blame.PROVIDER
    return Blame.ROUTE if word in MAY_GO_ELSEWHERE else Blame.NUMBER


def error_of(known: VendorError, after: float | None) -> Retryable | Permanent | Unknown:
    match known.kind:
        case "retryable":
            return Retryable(known.reason, after)
        case "permanent":
            return Permanent(known.reason, blame_of(known.word))
        case "unknown":
            return Unknown(known.reason)
        case _:
            assert_never(known.kind)


def code_in(value: object) -> str | None:
    """A code as an answer gives it, number or text; None for what is none, 0 or too long to be one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    code = str(value) if not isinstance(value, int) or abs(value) < 10**LONGEST_CODE else ""
    plain = code.isascii() and code.replace("-", "").isalnum() and len(code) <= LONGEST_CODE
    return code if plain and code != "0" else None


def word_of(reason: str) -> str:
    """The reason without the vendor's code: what events and metrics say."""
    return reason.partition(":")[0]
