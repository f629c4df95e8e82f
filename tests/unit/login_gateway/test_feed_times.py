"""When a fed login's first step may have been."""

from datetime import UTC, datetime, timedelta

import pytest

from services.login_gateway.feed import Refusal, check_time

EPOCH = 1_795_664_483_136
MILLISECOND = datetime.fromtimestamp(EPOCH / 1000, UTC)
NOW = MILLISECOND + timedelta(seconds=5)


@pytest.mark.parametrize("whose", ["epoch", "account_epoch"])
@pytest.mark.parametrize("microseconds", [-1, 0, 12, 999])
def test_what_may_have_been_before_an_expire_all_is_refused(whose: str, microseconds: int):
    user = {"epoch": 1, "account_epoch": 1, "code_seconds": 300, whose: EPOCH}
    with pytest.raises(Refusal, match="sessions-expired"):
        check_time(MILLISECOND + timedelta(microseconds=microseconds), user, NOW)


def test_what_was_after_it_is_not():
    user = {"epoch": EPOCH, "account_epoch": EPOCH - 5, "code_seconds": 300}
    check_time(MILLISECOND + timedelta(milliseconds=1), user, NOW)
