"""Warnings of this package."""

__all__ = ["CheckpointWarning"]


class CheckpointWarning(UserWarning):
    """A checkpoint cannot be written or read, and the fit goes on without it.

    ``warnings.simplefilter("error", CheckpointWarning)`` makes the fit end there instead.
    """
