"""The version, for whoever has to write it down."""

__version__ = "0.1.0.dev3"
