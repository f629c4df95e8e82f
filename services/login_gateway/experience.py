"""What signing in will be like for a user, in one sentence: for whoever edits what leads to it."""

from typing import Final

MAILBOX_ANYWAY: Final = (
    "if the SMS cannot be delivered, it goes to their e-mail address, although Authentication by Email is off."
)


def experience(*, sms: bool, email: bool, has_email: bool, disabled: bool = False) -> str:
    """Of the factors that are on, and whether an e-mail address is on file."""
    if disabled:
        return "Cannot sign in: the user is switched off."
    match sms, email:
        case True, True:
            return "After the password a code by SMS; if the SMS fails, or when they ask for it, by e-mail."
        case True, False if has_email:
            return f"After the password a code by SMS; {MAILBOX_ANYWAY}"
        case True, False:
            return (
                "After the password a code by SMS; if it fails they cannot sign in: there is no e-mail address on file."
            )
        case False, True:
            return "After the password a code by e-mail; no SMS is sent."
        case _:
            return "The password alone signs them in: no code is asked for."
