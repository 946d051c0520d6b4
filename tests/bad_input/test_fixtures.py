"""The fixtures of this folder notice what they forbid."""

import pytest

from tests._instances import blobs, tiny


def test_the_fixtures_notice_training(no_training):
    with pytest.raises(pytest.fail.Exception, match="pretraining has started"):
        tiny("IDEC").fit(blobs()[0])


def test_the_fixture_notices_clustering(no_clustering):
    with pytest.raises(pytest.fail.Exception, match="clustering has started"):
        tiny("IDEC").fit(blobs()[0])
