"""Amazon SES' errors of SendEmail, and those that every AWS service has
(https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html, …/CommonErrors.html).

Two that share their name with others are told by what they say
(https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html, …/troubleshoot-error-messages.html).
"""

from typing import Final

from services.delivery.vendor_errors import (
    CHECK_SETTINGS,
    NOTHING,
    PERMANENT,
    REPORT,
    RETRYABLE,
    SLOWER,
    SUPPORT,
    UNKNOWN,
    VendorError,
    VendorErrors,
)

CLOCK: Final = "Set this machine's clock right; it may be 15 minutes off at most."
QUOTA: Final = "Ask AWS for a higher sending quota (Service Quotas, Amazon SES)."
REVIEW: Final = "Open Account dashboard in the SES console: bounces or complaints; ask AWS for a review."
RIGHTS: Final = "Give the key's user the right ses:SendEmail for this sender; restart delivery."
VERIFY: Final = "Verify the domain of GATEPOST_SES_FROM in this region, DKIM and MAIL FROM included."
SANDBOX: Final = "Verify the sender in this region; ask AWS for production access, or the sandbox keeps refusing."
ADDRESS: Final = "Ask the user for the right address; if all are refused, compare GATEPOST_SES_FROM and report it."

# What a message says → the code here.
SAID: Final = {
    "Daily message quota exceeded": "Daily-message-quota-exceeded",
    "Email address is not verified": "Email-address-is-not-verified",
}

ERRORS: Final = VendorErrors(
    "ses",
    "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html",
    (
        # SendEmail's own
        VendorError("TooManyRequestsException", "rate-limited", RETRYABLE, "Too many calls at once.", SLOWER),
        VendorError("LimitExceededException", "limit-spent", PERMANENT, "A limit of the account is reached.", QUOTA),
        VendorError("AccountSuspendedException", "account-suspended", PERMANENT, "It may never send again.", REVIEW),
        VendorError("SendingPausedException", "account-suspended", PERMANENT, "Sending is paused by AWS.", REVIEW),
        VendorError("MessageRejected", "refused", PERMANENT, "The content is not valid, or holds a virus.", REPORT),
        VendorError("Email-address-is-not-verified", "trial-account", PERMANENT, "In the sandbox.", SANDBOX),
        VendorError(
            "MailFromDomainNotVerifiedException", "bad-sender", PERMANENT, "The domain is not verified.", VERIFY
        ),
        VendorError(
            "NotFoundException", "provider-credentials", PERMANENT, "No such configuration set.", CHECK_SETTINGS
        ),
        VendorError("BadRequestException", "bad-request", PERMANENT, "The input is not valid.", ADDRESS),
        # every AWS service's
        VendorError("ThrottlingException", "rate-limited", RETRYABLE, "The sending rate is exceeded.", SLOWER),
        VendorError("Throttling", "rate-limited", RETRYABLE, "The sending rate is exceeded.", SLOWER),
        VendorError("Daily-message-quota-exceeded", "limit-spent", PERMANENT, "The quota of 24 hours is spent.", QUOTA),
        VendorError("AccessDeniedException", "provider-credentials", PERMANENT, "The key may not send.", RIGHTS),
        VendorError("NotAuthorized", "provider-credentials", PERMANENT, "The key may not send.", RIGHTS),
        VendorError("OptInRequired", "provider-credentials", PERMANENT, "SES is not enabled for the account.", SUPPORT),
        VendorError("ExpiredTokenException", "provider-credentials", PERMANENT, "The key has ended.", CHECK_SETTINGS),
        VendorError("InvalidClientTokenId", "provider-credentials", PERMANENT, "There is no such key.", CHECK_SETTINGS),
        VendorError(
            "UnrecognizedClientException", "provider-credentials", PERMANENT, "There is no such key.", CHECK_SETTINGS
        ),
        VendorError(
            "SignatureDoesNotMatch", "provider-credentials", PERMANENT, "The secret is not the key's.", CHECK_SETTINGS
        ),
        VendorError(
            "InvalidSignatureException", "provider-credentials", PERMANENT, "Not the key's secret.", CHECK_SETTINGS
        ),
        VendorError("IncompleteSignature", "bad-request", PERMANENT, "The signature is not whole.", REPORT),
        VendorError("MissingAuthenticationTokenException", "bad-request", PERMANENT, "The call is not signed.", REPORT),
        VendorError("RequestExpired", "provider-credentials", PERMANENT, "Signed too long ago, or ahead.", CLOCK),
        VendorError("ValidationError", "bad-request", PERMANENT, "The input is not valid.", ADDRESS),
        VendorError("ValidationException", "bad-request", PERMANENT, "The input is not valid.", ADDRESS),
        VendorError("InternalFailure", "provider-error", UNKNOWN, "An error inside AWS.", NOTHING),
        VendorError("InternalServiceErrorException", "provider-error", UNKNOWN, "An error inside AWS.", NOTHING),
        VendorError("ServiceUnavailable", "provider-error", RETRYABLE, "SES is not available.", NOTHING),
        VendorError("ServiceUnavailableException", "provider-error", RETRYABLE, "SES is not available.", NOTHING),
    ),
)
