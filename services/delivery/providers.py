"""Which providers the settings name: those that send, and those whose receipts count. A provider that needs libraries
of its own (a signer, JWTs) is imported where it is named.
"""

from collections.abc import Iterable

from services.delivery.channels.smtp import Smtp, SmtpServer
from services.delivery.channels.twilio import Twilio
from services.delivery.channels.twilio_receipts import TwilioReceipts
from services.delivery.channels.webhooks import judging
from services.delivery.channels.webhooks.channel import Webhook
from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.channels.webhooks.receipts import WebhookReceipts
from services.delivery.provider import Channel
from services.delivery.receipts import Reader
from services.delivery.settings import DeliverySettings, revealed
from services.platform.settings import reaches_beyond


def webhooks_of(settings: DeliverySettings) -> list[Loaded]:
    """Raises `BadWebhooks`."""
    local = not reaches_beyond(settings) or "provider-loopback" in settings.allow_insecure
    return judging.load(settings.webhooks, local)


def channels_of(settings: DeliverySettings, webhooks: Iterable[Loaded] = ()) -> list[Channel]:
    found: list[Channel] = []
    if settings.twilio_account_sid:
        found.append(_twilio(settings, settings.twilio_account_sid))
    if settings.vonage_application_id:
        found.append(_vonage(settings, settings.vonage_application_id))
    if settings.smtp_host:
        found.append(Smtp(_smtp(settings, settings.smtp_host)))
    if settings.ses_region:
        found.append(_ses(settings, settings.ses_region))
    found += [Webhook(one, settings.receipts_at(one.name), settings.slots) for one in webhooks]
    return found


def readers_of(settings: DeliverySettings, webhooks: Iterable[Loaded] = ()) -> dict[str, Reader]:
    """Who may give receipts, and how each signs them."""
    found: dict[str, Reader] = {}
    if settings.twilio_account_sid:
        found["twilio"] = TwilioReceipts(settings.receipts_at("twilio"), revealed(settings.twilio_auth_token))
    if settings.vonage_application_id and settings.vonage_api_key and settings.vonage_signature_secret:
        from services.delivery.channels.vonage_receipts import VonageReceipts

        secret = revealed(settings.vonage_signature_secret)
        found["vonage"] = VonageReceipts(secret, settings.vonage_api_key, settings.vonage_application_id)
    for source in (one.source for one in webhooks):
        if source.receipts is not None and source.webhook.receipts is not None:
            found[source.name] = WebhookReceipts(source.name, source.receipts, source.webhook.receipts)
    return found


def _twilio(settings: DeliverySettings, sid: str) -> Twilio:
    return Twilio(
        base_url=settings.twilio_base_url,
        sid=sid,
        token=revealed(settings.twilio_auth_token),
        sender=settings.twilio_from or "",
        callback=settings.receipts_at("twilio") if settings.twilio_receipts else None,
        connections=settings.slots,
    )


def _vonage(settings: DeliverySettings, application_id: str) -> Channel:
    from services.delivery.channels.vonage import ApplicationJwt, Vonage

    return Vonage(
        base_url=settings.vonage_base_url,
        auth=ApplicationJwt(application_id, settings.vonage_rsa_key()),
        sender=settings.vonage_from or "",
        callback=settings.receipts_at("vonage") if settings.vonage_receipts else None,
        connections=settings.slots,
    )


def _ses(settings: DeliverySettings, region: str) -> Channel:
    from services.delivery.channels.ses import Ses

    return Ses(
        region=region,
        key_id=settings.ses_access_key_id or "",
        secret=revealed(settings.ses_secret_access_key),
        sender=settings.ses_from or "",
        base_url=settings.ses_base_url,
        configuration_set=settings.ses_configuration_set,
        connections=settings.slots,
    )


def _smtp(settings: DeliverySettings, host: str) -> SmtpServer:
    return SmtpServer(
        host=host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=settings.smtp_from,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
    )
