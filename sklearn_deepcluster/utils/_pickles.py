"""Pickles that know the version that made them."""

from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.utils._warnings import warn_user

_KEY = "_sklearn_deepcluster_version"


class VersionedPickle:
    """Mixin of estimators: a pickle of another version is loaded with a warning."""

    def __getstate__(self):
        return {**super().__getstate__(), _KEY: __version__}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop(_KEY, "before 0.1.0")
        if version != __version__:
            warn_user(
                f"{type(self).__name__} was pickled by version {version} of sklearn_deepcluster; "
                f"this is {__version__}, where it may break or answer otherwise. Files of "
                "save_model are read by every later version.",
                UserWarning,
            )
        super().__setstate__(state)
