"""Every public estimator has a quick instance in the table of the tests."""

from tests._instances import (
    PUBLIC,
    TINY,
)


def test_every_public_estimator_has_an_entry_in_the_table():
    missing = sorted(set(PUBLIC) - set(TINY))
    assert not missing, f"add quick parameters of {missing} to TINY in tests/_instances.py"
    assert sorted(set(TINY) - set(PUBLIC)) == [], "TINY knows estimators that do not exist"
