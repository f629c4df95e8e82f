"""The dashboard as data: the four questions, each with figures that say yes or no at a glance, then the curves. Over
300 lines long because it is one list.
"""

from typing import Final, Literal, NamedTuple

Look = Literal["figure", "curves"]


class Panel(NamedTuple):
    """`queries`: legend and PromQL; curves are over the window that Grafana chooses. `limits`: where a figure turns
    yellow and red, the worse the lower if they fall.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    meaning: str
    look: Look = "curves"
    limits: tuple[float, float] | None = None


class Row(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str, by: str = "", shares: tuple[float, ...] = (0.5, 0.99)) -> tuple[tuple[str, str], ...]:
    legend = f"p%d {{{{{by}}}}}" if by else "p%d"
    labels = f"le, {by}" if by else "le"
    return tuple(
        (
            legend % round(share * 100),
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))",
        )
        for share in shares
    )


WAITING: Final = Row(
    "Is anybody waiting?",
    (
        Panel(
            "Oldest code",
            "s",
            (("", "max(gatepost_oldest_code_seconds)"),),
            "How long somebody has waited whose message nobody has called a provider for.",
            "figure",
            (5, 15),
        ),
        Panel(
            "Oldest event",
            "s",
            (("", "max(gatepost_outbox_oldest_seconds)"),),
            "How long an event has waited for Kafka.",
            "figure",
            (5, 30),
        ),
        Panel(
            "Unread records",
            "short",
            (("", "sum(gatepost:kafka_lag:sum)"),),
            "Of all consumers.",
            "figure",
            (500, 5000),
        ),
        Panel(
            "Kept back, parked, dead",
            "short",
            (
                ("kept back", "max(gatepost_codes_held_back)"),
                ("parked", "sum(max by (job) (gatepost_parked_events))"),
                ("dead letters", "max(gatepost_dead_letters_open)"),
            ),
            "What waits for a person: a pause, events that Kafka refuses, records that nobody could use.",
            "figure",
            (1, 1000),
        ),
        Panel(
            "Messages that wait",
            "short",
            (("due", "max(gatepost_codes_waiting)"), ("kept back", "max(gatepost_codes_held_back)")),
            "Up to 10,000 are counted.",
        ),
        Panel(
            "Events that wait for Kafka",
            "short",
            (("{{job}}", "max by (job) (gatepost_outbox_waiting)"),),
            "Up to 10,000 are counted.",
        ),
        Panel(
            "Unread records by consumer",
            "short",
            (("{{consumer}} {{topic}}", "gatepost:kafka_lag:sum"),),
            "Of each topic; a worker that stands still ends itself after ten seconds.",
        ),
    ),
)
WORKING: Final = Row(
    "Is it working?",
    (
        Panel(
            "SMS taken",
            "percentunit",
            (("", 'min(gatepost:sends_taken:ratio_rate5m{channel="sms"})'),),
            "Of the calls of the worst SMS provider; faults of numbers left out.",
            "figure",
            (0.95, 0.8),
        ),
        Panel(
            "Codes by fallback",
            "percentunit",
            (("", "gatepost:fallbacks:ratio_rate15m"),),
            "E-mails because an SMS did not arrive, of all SMS.",
            "figure",
            (0.1, 0.3),
        ),
        Panel(
            "Login to code, p99",
            "s",
            (("", "histogram_quantile(0.99, sum by (le) (rate(gatepost_login_to_code_seconds_bucket[5m])))"),),
            "Until a provider had taken the code.",
            "figure",
            (5, 15),
        ),
        Panel(
            "Answers 5xx",
            "percentunit",
            (("", "max(gatepost:http_errors:ratio_rate5m)"),),
            "Of the worst service.",
            "figure",
            (0.01, 0.05),
        ),
        Panel(
            "Logins",
            "ops",
            (("{{result}}", "sum by (result) (rate(gatepost_logins_total[$__rate_interval]))"),),
            "First steps, by how they ended.",
        ),
        Panel(
            "Fed logins",
            "ops",
            (("{{road}} {{result}}", "sum by (road, result) (rate(gatepost_fed_logins_total[$__rate_interval]) > 0)"),),
            "What platforms handed over, by road and what became of it.",
        ),
        Panel(
            "Login to code",
            "s",
            _quantiles("gatepost_login_to_code_seconds", "channel"),
            "From the accepted login until a provider had taken its code.",
        ),
        Panel(
            "Login to first call",
            "s",
            _quantiles("gatepost_login_to_call_seconds", "channel"),
            "What Gatepost itself takes.",
        ),
        Panel(
            "Provider's time, p95",
            "s",
            _quantiles("gatepost_send_seconds", "provider", (0.95,)),
            "Of a call.",
        ),
        Panel(
            "Calls taken",
            "percentunit",
            (("{{channel}} {{provider}}", "gatepost:sends_taken:ratio_rate5m"),),
            "Faults of numbers left out.",
        ),
        Panel(
            "Conversion by country and provider",
            "percentunit",
            (("{{country}} {{provider}}", "topk(12, gatepost:conversion:ratio_rate1h)"),),
            "Codes that came back, of the messages that were sent, within an hour.",
        ),
        Panel(
            "Receipts",
            "ops",
            (
                (
                    "{{provider}} {{result}}",
                    "sum by (provider, result) (rate(gatepost_receipts_total[$__rate_interval]))",
                ),
            ),
            "What providers said afterwards.",
        ),
        Panel(
            "Fallbacks by reason",
            "ops",
            (("{{reason}}", "sum by (reason) (rate(gatepost_fallbacks_total[$__rate_interval]))"),),
            "Why codes went by e-mail.",
        ),
    ),
)
SAFE: Final = Row(
    "Is it safe?",
    (
        Panel(
            "Wrong codes",
            "percentunit",
            (
                (
                    "",
                    'sum(rate(gatepost_verifications_total{result="wrong"}[15m]))'
                    " / (sum(rate(gatepost_verifications_total[15m])) > 0)",
                ),
            ),
            "Of all codes tried.",
            "figure",
            (0.2, 0.5),
        ),
        Panel(
            "Users locked, a day",
            "short",
            (("", "sum(increase(gatepost_users_locked_total[1d]))"),),
            "For their wrong codes.",
            "figure",
            (1, 10),
        ),
        Panel(
            "Guessing alarms, a day",
            "short",
            (("", "sum(increase(gatepost_guessing_alarms_total[1d]))"),),
            "Codes got longer, or a feed was stopped.",
            "figure",
            (1, 1),
        ),
        Panel(
            "Forged events, a day",
            "short",
            (
                (
                    "",
                    'sum(increase(gatepost_forged_total{kind=~"challenge|client-event|session-event|second-road"}[1d]))',
                ),
            ),
            "By somebody who can write to Kafka, or has a service's credential.",
            "figure",
            (1, 1),
        ),
        Panel(
            "Codes tried",
            "ops",
            (("{{result}}", "sum by (result) (rate(gatepost_verifications_total[$__rate_interval]))"),),
            "Refused ones were not compared.",
        ),
        Panel(
            "Forged",
            "ops",
            (("{{kind}}", "sum by (kind) (rate(gatepost_forged_total[$__rate_interval])) > 0"),),
            "Tokens, handles and receipts come from anybody.",
        ),
        Panel(
            "SMS that the guard stopped",
            "ops",
            (
                (
                    "{{reason}} {{action}}",
                    "sum by (reason, action) (rate(gatepost_guard_stops_total[$__rate_interval])) > 0",
                ),
            ),
            "Against pumping.",
        ),
    ),
)
IN_TIME: Final = Row(
    "Is it in time?",
    (
        Panel(
            "Revocation known, p99",
            "s",
            (("", "histogram_quantile(0.99, sum by (le) (rate(gatepost_revocation_lag_seconds_bucket[15m])))"),),
            "From the event until a process knew of it.",
            "figure",
            (1, 5),
        ),
        Panel(
            "Session feed's age",
            "s",
            (("", "max(gatepost_session_feed_age_seconds)"),),
            "Of the process that has heard least.",
            "figure",
            (2, 10),
        ),
        Panel(
            "From memory",
            "percentunit",
            (
                (
                    "",
                    'sum(rate(gatepost_session_checks_total{source="memory"}[5m]))'
                    " / (sum(rate(gatepost_session_checks_total[5m])) > 0)",
                ),
            ),
            "Of the checks; the others asked the database.",
            "figure",
            (0.99, 0.5),
        ),
        Panel(
            "Services up",
            "short",
            (("", 'sum(up{job=~"gatepost-.*"})'),),
            "Processes that answer Prometheus.",
            "figure",
        ),
        Panel(
            "Revocation known",
            "s",
            _quantiles("gatepost_revocation_lag_seconds", "event"),
            "By kind.",
        ),
        Panel(
            "Fed logins' age",
            "s",
            (("", "max(gatepost_feed_age_seconds)"),),
            "How long a platform's records had been in Kafka when they were read.",
        ),
        Panel(
            "Session checks",
            "ops",
            (("{{source}}", "sum by (source) (rate(gatepost_session_checks_total[$__rate_interval]))"),),
            "By where the answer was looked for first.",
        ),
        Panel(
            "Answers, p99",
            "s",
            _quantiles("gatepost_http_request_seconds", "job", (0.99,)),
            "Of each service.",
        ),
    ),
)
ROWS: Final = (WAITING, WORKING, SAFE, IN_TIME)
