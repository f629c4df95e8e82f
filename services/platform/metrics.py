"""Every metric of Gatepost; `docs/metrics.md` is made from this file. No label holds an id, a contact, a username or
any other text that came from outside.

A label's values are listed where they are a closed set; such series exist from the start, at 0, so that a rule sees
the first event too. Where they are not, the text says what bounds them. Over 300 lines long because it is one list.
"""

from typing import Final

from schemas import topics
from services.platform.metering import Closed

CLOSED: Final = Closed()

TOPICS: Final = tuple(topic.name for topic in topics.TOPICS)
CHANNELS: Final = ("sms", "email")
CONSUMERS: Final = ("delivery", "gateway-feed", "gateway-outcomes", "session-store-reader", "session-store-writer")
PROVIDER: Final = "a provider of the configuration, or `none`"
COUNTRY: Final = (
    "whose the user's phone number is (ISO 3166-1), `none` without one and for the e-mail in an SMS's place, "
    "`other` for what is no country"
)
LETTER: Final = "why, one word of a closed set, as `gatepost dead-letters list` has it"
REASON: Final = "one word of a closed set: [operations](operations.md#why-a-message-did-not-arrive)"
EVERY: Final = ("gateway", "delivery", "session-store")
GATEWAY: Final = ("gateway",)
DELIVERY: Final = ("delivery",)
STORE: Final = ("session-store",)

# Is anybody waiting?
OLDEST_CODE_SECONDS: Final = CLOSED.of_database(
    "gatepost_oldest_code_seconds",
    "How long the oldest message has waited that is due and that nobody has called a provider for yet.",
    question="waiting",
    services=DELIVERY,
)
CODES_WAITING: Final = CLOSED.of_database(
    "gatepost_codes_waiting",
    "Messages that are due and not called yet, counted up to 10,000.",
    unit="messages",
    question="waiting",
    services=DELIVERY,
)
CODES_HELD_BACK: Final = CLOSED.of_database(
    "gatepost_codes_held_back",
    "Messages that a pause holds back, counted up to 10,000.",
    unit="messages",
    question="waiting",
    services=DELIVERY,
)
OUTBOX_OLDEST_SECONDS: Final = CLOSED.of_database(
    "gatepost_outbox_oldest_seconds",
    "How long the oldest event of this service's outbox has waited for Kafka.",
    question="waiting",
    services=EVERY,
)
OUTBOX_WAITING: Final = CLOSED.of_database(
    "gatepost_outbox_waiting",
    "Events that wait for Kafka, counted up to 10,000.",
    unit="events",
    question="waiting",
    services=EVERY,
)
OUTBOX_PARKED: Final = CLOSED.of_database(
    "gatepost_parked_events",
    "Events that Kafka refuses for themselves, counted up to 10,000: nobody sends them again by itself.",
    unit="events",
    question="waiting",
    services=EVERY,
)
KAFKA_LAG: Final = CLOSED.gauge(
    "gatepost_kafka_lag",
    "Records of this process's partitions that it has not read yet; no number while it follows none.",
    {"topic": TOPICS, "consumer": CONSUMERS},
    unit="records",
    question="waiting",
    services=EVERY,
    across="sum",
    begin=False,
)

# Is it working?
LOGINS: Final = CLOSED.counter(
    "gatepost_logins_total",
    "First steps of logins, fed ones included, by how they ended.",
    {"result": ("signed-in", "code-required", "invalid-credentials", "too-many-attempts", "busy")},
    unit="logins",
    question="working",
    services=GATEWAY,
)
FED: Final = CLOSED.counter(
    "gatepost_fed_logins_total",
    "Logins that platforms fed, by road: `again` were open already, `waiting` ones wait for their account's budget and"
    " are counted once more when they had their turn.",
    {"road": ("http", "topic"), "result": ("opened", "again", "waiting", "refused")},
    unit="logins",
    question="working",
    services=GATEWAY,
)
MESSAGES: Final = CLOSED.counter(
    "gatepost_messages_total",
    "Messages that came to delivery from Kafka, each once: of logins, resends and notices.",
    {"channel": CHANNELS},
    unit="messages",
    question="working",
    services=DELIVERY,
)
SENDS: Final = CLOSED.counter(
    "gatepost_sends_total",
    "Calls of providers: `sent` is taken, `queued` is tried again, `unknown` nobody can tell, `wrong-number` says"
    " nothing of the provider.",
    {
        "channel": CHANNELS,
        "provider": PROVIDER,
        "country": COUNTRY,
        "result": ("sent", "queued", "failed", "unknown", "wrong-number"),
    },
    unit="calls",
    question="working",
    services=DELIVERY,
)
RECEIPTS: Final = CLOSED.counter(
    "gatepost_receipts_total",
    "What became of messages that a provider had taken: what its receipt said, or `unknown` where none came in time.",
    {
        "channel": CHANNELS,
        "provider": PROVIDER,
        "country": COUNTRY,
        "result": ("delivered", "undelivered", "unknown"),
    },
    unit="messages",
    question="working",
    services=DELIVERY,
)
CODES_USED: Final = CLOSED.counter(
    "gatepost_codes_used_total",
    "Logins verified by a code, by what brought it. Conversion is this, divided by `gatepost_sends_total` of the same"
    ' channel, provider and country with `result="sent"`.',
    {"channel": CHANNELS, "provider": PROVIDER, "country": COUNTRY},
    unit="logins",
    question="working",
    services=DELIVERY,
)
FALLBACKS: Final = CLOSED.counter(
    "gatepost_fallbacks_total",
    "E-mails made due by an SMS that did not arrive. Their ratio is this, divided by"
    ' `gatepost_messages_total{channel="sms"}`.',
    {"reason": REASON},
    unit="messages",
    question="working",
    services=DELIVERY,
)
FALLBACKS_EMAIL_OFF: Final = CLOSED.counter(
    "gatepost_fallbacks_email_off_total",
    "Of the fallbacks, those to users who have e-mail off.",
    {"reason": REASON},
    unit="messages",
    question="working",
    services=DELIVERY,
)
SEND_SECONDS: Final = CLOSED.histogram(
    "gatepost_send_seconds",
    "How long a call of a provider took.",
    (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 10),
    {"channel": CHANNELS, "provider": PROVIDER},
    question="working",
    services=DELIVERY,
)
LOGIN_TO_CALL_SECONDS: Final = CLOSED.histogram(
    "gatepost_login_to_call_seconds",
    "From the accepted login to the first call of a provider: what Gatepost itself takes.",
    (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
    {"channel": CHANNELS},
    question="working",
    services=DELIVERY,
)
LOGIN_TO_CODE_SECONDS: Final = CLOSED.histogram(
    "gatepost_login_to_code_seconds",
    "From the accepted login until a provider had taken its code, by SMS or by the e-mail in its place.",
    (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
    {"channel": CHANNELS},
    question="working",
    services=DELIVERY,
)
LOGIN_TO_VERIFIED_SECONDS: Final = CLOSED.histogram(
    "gatepost_login_to_verified_seconds",
    "From the accepted login until the right code came: the way to the phone, and people.",
    (0.1, 1, 5, 10, 20, 30, 60, 120, 300),
    {"channel": CHANNELS},
    question="working",
    services=GATEWAY,
)
BREAKER_CLOSED: Final = CLOSED.gauge(
    "gatepost_breaker_closed",
    "1 while this process calls the provider freely, 0 while it gives it a rest.",
    {"channel": CHANNELS, "provider": PROVIDER},
    question="working",
    services=DELIVERY,
    across="each",
)
PUBLISHED: Final = CLOSED.counter(
    "gatepost_events_published_total",
    "Events that Kafka has acknowledged.",
    {"topic": TOPICS},
    unit="events",
    question="working",
    services=EVERY,
)
PUBLISH_FAILED: Final = CLOSED.counter(
    "gatepost_publish_failed_total",
    "Sends that Kafka did not acknowledge; they are repeated.",
    {"topic": TOPICS},
    unit="sends",
    question="working",
    services=EVERY,
)
PARKED: Final = CLOSED.counter(
    "gatepost_outbox_parked_total",
    "Events that Kafka has refused for themselves.",
    {"topic": TOPICS},
    unit="events",
    question="working",
    services=EVERY,
)
SECOND_ROAD: Final = CLOSED.counter(
    "gatepost_second_road_total",
    "Session events that the gateway posted to the session store because Kafka was silent.",
    {"result": ("taken", "failed")},
    unit="events",
    question="working",
    services=GATEWAY,
)
DEAD_LETTERS: Final = CLOSED.counter(
    "gatepost_dead_letters_total",
    "Records that could not be used.",
    {"topic": TOPICS, "reason": LETTER},
    unit="records",
    question="working",
    services=EVERY,
)
DEAD_LETTERS_OPEN: Final = CLOSED.of_database(
    "gatepost_dead_letters_open",
    "Dead letters that nobody dealt with, counted up to 10,000.",
    unit="records",
    question="working",
    services=DELIVERY,
)
HTTP_SECONDS: Final = CLOSED.histogram(
    "gatepost_http_request_seconds",
    "How long an answer took.",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    {
        "route": "the pattern of the path, as in the API's description; `unknown` for what is no path of ours",
        "status": ("1xx", "2xx", "3xx", "4xx", "5xx"),
    },
    question="working",
    services=EVERY,
)
PURGED: Final = CLOSED.counter(
    "gatepost_purged_total",
    "Rows that grew too old and went (or lost what was too old), by chore.",
    {"chore": "a chore of the service: [operations](operations.md#what-is-kept-and-for-how-long)"},
    unit="rows",
    question="working",
    services=EVERY,
)
SPANS: Final = CLOSED.counter(
    "gatepost_spans_total",
    "Steps of traced logins: `sent` ones the collector took, `lost` ones it did not, or too many waited for it.",
    {"result": ("sent", "lost")},
    unit="spans",
    question="working",
    services=EVERY,
)
DATABASE_UP: Final = CLOSED.gauge(
    "gatepost_database_up",
    "1 while the database answers this process; the gauges that are read from it have no number while it does not.",
    question="working",
    services=EVERY,
    across="each",
)

# Is it safe?
VERIFICATIONS: Final = CLOSED.counter(
    "gatepost_verifications_total",
    "Codes tried: `refused` were not compared, since their login was over or too many were wrong before.",
    {"result": ("right", "wrong", "refused")},
    unit="codes",
    question="safe",
    services=GATEWAY,
)
USERS_LOCKED: Final = CLOSED.counter(
    "gatepost_users_locked_total",
    "Users locked for their wrong codes, until an administrator unlocks them.",
    unit="users",
    question="safe",
    services=GATEWAY,
)
GUESSING_ALARMS: Final = CLOSED.counter(
    "gatepost_guessing_alarms_total",
    "Codes guessed across logins: an account's or everybody's codes got longer, or a feed was stopped.",
    {"scope": ("account", "installation", "feed")},
    unit="alarms",
    question="safe",
    services=GATEWAY,
)
FORGED: Final = CLOSED.counter(
    "gatepost_forged_total",
    "What bore a bad signature. Events that do (`challenge`, `client-event`, `fed-login`, `session-event`) come from"
    " somebody who can write to Kafka, `second-road` from one who has a service's credential; the others from anybody.",
    {"kind": ("challenge", "client-event", "fed-login", "handle", "receipt", "second-road", "session-event", "token")},
    unit="tries",
    question="safe",
    services=EVERY,
)
GUARD_STOPS: Final = CLOSED.counter(
    "gatepost_guard_stops_total",
    "SMS that the pumping guard stopped (`email`: one took its place, `refuse`: none did) or only saw (`monitor`).",
    {
        "reason": ("guard-conversion", "guard-country", "guard-number-type", "guard-budget"),
        "action": ("monitor", "email", "refuse"),
    },
    unit="messages",
    question="safe",
    services=DELIVERY,
)
UNKNOWN_EVENTS: Final = CLOSED.counter(
    "gatepost_unknown_session_events_total",
    "Signed session events of a type that this version does not know: their accounts are stopped.",
    unit="events",
    question="safe",
    services=STORE,
)

# Is it in time?
FEED_AGE_SECONDS: Final = CLOSED.gauge(
    "gatepost_feed_age_seconds",
    "How long the oldest record of the last batch of fed logins had been in Kafka when it was read; 0 while there is"
    " nothing to read.",
    question="in time",
    services=GATEWAY,
    across="max",
)
REVOCATION_LAG_SECONDS: Final = CLOSED.histogram(
    "gatepost_revocation_lag_seconds",
    "From the event that ends sessions until this process's memory, which was answering meanwhile, knew of it; by the"
    " clocks of two hosts. Each process is told of each event.",
    (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
    {"event": ("ExpireAll", "SessionRevoked", "SessionPolicyChanged")},
    question="in time",
    services=STORE,
)
SESSION_FEED_AGE_SECONDS: Final = CLOSED.gauge(
    "gatepost_session_feed_age_seconds",
    "How long ago this process last heard of the partition that it has heard least of; it grows while Kafka is away.",
    question="in time",
    services=STORE,
    across="max",
)
SESSION_FEED_CURRENT: Final = CLOSED.gauge(
    "gatepost_session_feed_current",
    "1 while this process answers checks from memory, 0 while it asks the database or waits.",
    question="in time",
    services=STORE,
    across="each",
)
CHECKS: Final = CLOSED.counter(
    "gatepost_session_checks_total",
    "Tokens checked, by where the answer was looked for first.",
    {"source": ("memory", "postgres")},
    unit="checks",
    question="in time",
    services=STORE,
)
