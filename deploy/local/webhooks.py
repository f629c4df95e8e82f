"""Webhooks for delivery that lead to the simulator."""

import base64
import secrets
from typing import Final

NAMES: Final = {"sms": "webhook", "email": "webhook-email"}
FILE: Final = """# Made anew by `make up`.
channel = "{channel}"
sender = "{sender}"
signing_secret_file = "{secret}"

[request]
url = "{at}/webhook/{channel}"
body = '''
{{
  "to": "{{{{ to }}}}",
  "from": "{{{{ sender }}}}",
{fields}  "text": "{{{{ text }}}}",
  "reference": "{{{{ token }}}}",
  "receipts": "{{{{ receipts_url }}}}"
}}
'''

[answer]
reference = "id"
code = "error.code"
taken = {{path = "status", equals = "accepted"}}

[[answer.errors]]
path = "error.code"
equals = 1001
reason = "invalid-number"
means = "The recipient is not valid."
next = "Ask the user for the right number or address."
"""
RECEIPTS: Final = """
[receipts]
secret_file = "{secret}"
token = "data.reference"
status = "data.status"
delivered = "delivered"
undelivered = "undelivered"
code = "data.error.code"

[[receipts.errors]]
path = "data.error.code"
equals = 2001
reason = "unreachable"
means = "The phone is off or without reception."
next = "The user switches the phone on or finds reception, then asks for the code again."
"""
MAIL_FIELDS: Final = """  "subject": "{{ subject }}",
  "html": "{{ html }}",
"""


def file_for(channel: str, at: str, secret: str, receipts_secret: str, mail_from: str) -> str:
    """The file of one channel; the simulator gives receipts for SMS."""
    sender, fields = ("Gatepost", "") if channel == "sms" else (mail_from, MAIL_FIELDS)
    text = FILE.format(channel=channel, at=at, sender=sender, secret=secret, fields=fields)
    return text + (RECEIPTS.format(secret=receipts_secret) if channel == "sms" else "")


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
