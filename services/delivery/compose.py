"""From a ledger row to the message: contacts opened, code derived, both only for as long as the call takes."""

from dataclasses import dataclass
from datetime import datetime

from services.delivery import prefixes
from services.delivery.messages.sources import CODE
from services.delivery.messages.words import Facts, Words
from services.delivery.notices import is_notice, notice_of_job
from services.delivery.ports import Job
from services.delivery.provider import Message, Permanent
from services.delivery.states import Reason
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Bound, Contacts, LoginSecrets, open_login, search_hash
from services.platform.keys.keyring import Ring, SealBroken
from services.platform.keys.tokens import ReceiptTokens


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys that delivery holds, and the words that it writes."""

    contacts: Contacts
    codes: Codes
    search: Ring
    words: Words
    receipts: ReceiptTokens

    def open(self, job: Job) -> LoginSecrets:
        """Raises `SealBroken` or `UnknownKey`."""
        whose = (job.login_id, job.account_id, job.user_id)
        code = (job.code_key_id, job.digits)
        bound = Bound(job.sealed_event, *whose, job.sealed_cause, job.channel, job.expires_at, *code)
        return open_login(self.contacts, bound, job.sealed)

    def message(self, job: Job, inside: LoginSecrets, now: datetime) -> Message:
        """Raises `Permanent` when there is nobody to write to, `UnknownKey` when the code cannot be derived."""
        to = inside.phone if job.channel == "sms" else inside.email
        if to is None:
            raise Permanent(Reason.NO_CONTACT)
        if is_notice(job):
            return self._written(job, to, notice_of_job(job), Facts(job.begun_at))
        code = self.codes.code(job.code_key_id, job.login_id, job.channel, inside.salt, job.digits, now)
        minutes = max(1, round((job.expires_at - now).total_seconds() / 60))
        return self._written(job, to, CODE, Facts(job.begun_at, job.device, code, minutes))

    def _written(self, job: Job, to: str, name: str, facts: Facts) -> Message:
        write = self.words.sms if job.channel == "sms" else self.words.mail
        said = write(name, self.words.of(job.account_id), job.locale, facts)
        token = self.receipts.make(job.login_id, job.id)
        return Message(str(job.id), to, said.subject, said.text, said.html, said.sender, said.locale, token)

    def recipient(self, channel: str, inside: LoginSecrets) -> bytes | None:
        """A keyed hash of who gets the message, to count by."""
        kind, to = ("phone", inside.phone) if channel == "sms" else ("email", inside.email)
        return search_hash(self.search, kind, to) if to is not None else None

    def prefixes(self, channel: str, inside: LoginSecrets) -> bytes | None:
        """Keyed hashes of the beginnings of the number that gets an SMS."""
        return prefixes.hashes(self.search, inside.phone) if channel == "sms" and inside.phone else None

    def email_of(self, job: Job, now: datetime) -> str | None:
        """The address on file, while the code lives; None also for a broken seal. Raises `UnknownKey`."""
        try:
            return self.open(job).email if now < job.expires_at else None
        except SealBroken:
            return None
