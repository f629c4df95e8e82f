"""Every fault by its name: in `make test` those of a group come one after the other, in `make faults` each alone."""

import signal
from typing import Final

from tests.faults import acts
from tests.faults.run import Fault

HANG: Final = {"mode": "hang", "seconds": 6}
REFUSE: Final = {"mode": "refuse", "code": 21614}
ACCEPT_AND_FAIL: Final = {"mode": "error_after_accept"}
FULL: Final = {"mode": "smtp_4xx"}
CUT: Final = {"mode": "cut_after_data"}
CROWD: Final = 2000

GROUPS: Final[dict[str, tuple[Fault, ...]]] = {
    "gateway": (
        acts.killed_at("gateway.after-commit"),
        acts.killed_at("gateway.after-verify"),
        acts.killed_in_feed("gateway.in-feed"),
        acts.killed_in_feed("gateway.after-feed"),
        acts.sent("gateway", signal.SIGTERM),
    ),
    "delivery": (
        acts.killed_at("delivery.after-claim"),
        acts.killed_at("delivery.before-call"),
        acts.killed_at("delivery.during-call"),
        acts.killed_at("delivery.after-call"),
        Fault("kill -9 of delivery with a backlog", acts.killed_with_a_backlog),
        acts.sent("delivery", signal.SIGTERM),
    ),
    "session-store": (
        acts.killed_at("session-store.in-batch"),
        Fault("kill -9 at session-store.before-follow", acts.killed_before_it_follows),
        acts.sent("session-store", signal.SIGTERM),
        Fault("session-store frozen while a floor is raised", acts.store_frozen),
    ),
    "broker": (
        acts.sent("kafka", signal.SIGTERM),
        Fault("records that the broker refuses", acts.refused_records),
        Fault("a poison on every topic", acts.poison),
    ),
    "frozen broker": (Fault("broker frozen for longer than a session", acts.broker_frozen),),
    "database": (
        acts.sent("postgres", signal.SIGQUIT),
        Fault("every backend is terminated", acts.backends_terminated),
        acts.answer_lost("gateway", "COMMIT"),
        acts.answer_lost("gateway", "WITH opened", 1),
        acts.answer_lost("delivery", "WITH results"),
        acts.answer_lost("session-store", "COMMIT"),
    ),
    "providers": (
        acts.provider("providers refuse", 2, sms=REFUSE, email=FULL),
        acts.provider("providers hang", 4, sms=HANG, email=HANG),
        acts.provider("providers take it and answer 500", 2, sms=ACCEPT_AND_FAIL, email=CUT),
        acts.mail_server_down(3),
    ),
}

# What takes too long for `make test`.
LONG: Final[tuple[Fault, ...]] = (
    acts.sent("kafka", signal.SIGKILL),
    acts.sent("postgres", signal.SIGKILL),
    acts.with_a_crowd(acts.provider("providers refuse", 20, sms=REFUSE, email=FULL), CROWD),
    acts.with_a_crowd(acts.provider("providers hang", 20, sms=HANG, email=HANG), CROWD),
    acts.with_a_crowd(acts.provider("providers take it and answer 500", 20, sms=ACCEPT_AND_FAIL, email=CUT), CROWD),
    acts.with_a_crowd(Fault("kill -9 of delivery with a backlog", acts.killed_with_a_backlog), CROWD),
    acts.mail_server_down(60),
)
