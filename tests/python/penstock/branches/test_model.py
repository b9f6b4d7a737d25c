"""When a branch expires, as it is written on a command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from penstock.branches.model import Branch, expiry
from penstock.errors import BranchError

NOW = datetime(2026, 3, 1, 12, 30, 15, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("36h", datetime(2026, 3, 3, 0, 30, 15, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 8, 12, 30, 15, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("never", None),
    ],
)
def test_expiry_is_a_period_a_time_or_never(text: str, at: datetime | None) -> None:
    assert expiry(text, NOW) == at


@pytest.mark.parametrize("text", ["", "soon", "0d", "-1d", "7", "7w", "1.5h", "2027-13-01", "999999d"])
def test_expiry_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BranchError, match="is no time") as caught:
        expiry(text, NOW)
    assert "7d" in caught.value.hint


@pytest.mark.parametrize("text", ["2026-03-01T12:30:15Z", "2020-01-01"])
def test_expiry_that_has_passed_is_refused(text: str) -> None:
    with pytest.raises(BranchError, match="has passed"):
        expiry(text, NOW)


def test_branch_is_expired_from_its_time_on_in_any_zone() -> None:
    branch = Branch("x", expires_at=NOW.astimezone(timezone(timedelta(hours=5))))

    assert branch.is_expired(NOW)
    assert not branch.is_expired(NOW - timedelta(seconds=1))
    assert not Branch("x").is_expired(NOW)
