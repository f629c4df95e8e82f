"""Every metric of Gatepost, by name, with what it counts. No label holds an id, a contact or a username."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED: Final = Counter("gatepost_events_published_total", "Events that Kafka has acknowledged.", ["topic"])
PUBLISH_FAILED: Final = Counter("gatepost_publish_failed_total", "Sends that Kafka did not acknowledge.", ["topic"])
PARKED: Final = Counter("gatepost_outbox_parked_total", "Events that Kafka refuses for themselves.", ["topic"])
SECOND_ROAD: Final = Counter("gatepost_second_road_total", "Session events sent by HTTP, by result.", ["result"])
HTTP_SECONDS: Final = Histogram(
    "gatepost_http_request_seconds",
    "Time to answer, by route and status class.",
    ["route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DEAD_LETTERS: Final = Counter("gatepost_dead_letters_total", "Records that could not be used.", ["topic", "reason"])
FORGED: Final = Counter("gatepost_forged_total", "Bad signatures, tokens, handles and receipts, by kind.", ["kind"])
LOGINS: Final = Counter("gatepost_logins_total", "Logins by how the first step ended.", ["result"])
VERIFICATIONS: Final = Counter("gatepost_verifications_total", "Codes tried, by result.", ["result"])
GUESSING_ALARMS: Final = Counter(
    "gatepost_guessing_alarms_total", "Codes guessed across logins: longer codes or a stopped feed.", ["scope"]
)
SENDS: Final = Counter(
    "gatepost_sends_total", "Submissions to providers, by result.", ["channel", "provider", "result"]
)
SEND_SECONDS: Final = Histogram(
    "gatepost_send_seconds",
    "Time of a provider call.",
    ["channel", "provider"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 10),
)
FALLBACKS: Final = Counter("gatepost_fallbacks_total", "E-mails made due by an SMS that did not arrive.", ["reason"])
FALLBACKS_EMAIL_OFF: Final = Counter(
    "gatepost_fallbacks_email_off_total", "Of those, for users who have e-mail off.", ["reason"]
)
GUARD_STOPS: Final = Counter(
    "gatepost_guard_stops_total", "SMS that the pumping guard stopped, or would have stopped.", ["reason", "action"]
)
LOGIN_TO_CALL_SECONDS: Final = Histogram(
    "gatepost_login_to_call_seconds",
    "From the accepted login to the first provider call.",
    ["channel"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
)
OLDEST_CODE_SECONDS: Final = Gauge("gatepost_oldest_code_seconds", "How long the oldest due message has waited.")
CODES_WAITING: Final = Gauge("gatepost_codes_waiting", "Messages that are due and not called yet, up to 10,000.")
OUTBOX_OLDEST_SECONDS: Final = Gauge("gatepost_outbox_oldest_seconds", "How long an event has waited for Kafka.")
OUTBOX_WAITING: Final = Gauge("gatepost_outbox_waiting", "Events that wait for Kafka, up to 10,000.")
DEAD_LETTERS_OPEN: Final = Gauge("gatepost_dead_letters_open", "Dead letters that nobody dealt with, up to 10,000.")
KAFKA_LAG: Final = Gauge("gatepost_kafka_lag", "Records of this worker's partitions that it has not read yet.")
BREAKER_CLOSED: Final = Gauge(
    "gatepost_breaker_closed", "1 while this worker calls the provider freely.", ["channel", "provider"]
)
CHECKS: Final = Counter(
    "gatepost_session_checks_total", "Tokens checked, by result and where it was known.", ["result"]
)
UNKNOWN_EVENTS: Final = Counter("gatepost_unknown_session_events_total", "Signed session events of unknown type.")
PURGED: Final = Counter("gatepost_purged_total", "Rows that grew too old and went, by chore.", ["chore"])
