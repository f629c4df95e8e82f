"""The states of an account."""

from typing import Literal

AccountState = Literal["active", "suspended"]
