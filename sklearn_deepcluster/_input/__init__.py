"""Reading X: whatever a user holds becomes one kind of record."""

from sklearn_deepcluster._input._kinds import kind_of
from sklearn_deepcluster._input._read import read
from sklearn_deepcluster._input._rows import distinct_entries, flat_rows
from sklearn_deepcluster._input._samples import Form, Samples
from sklearn_deepcluster._input._sequences import is_sequences, padded_rows
from sklearn_deepcluster._input._weights import weigh

__all__ = [
    "Form",
    "Samples",
    "distinct_entries",
    "flat_rows",
    "is_sequences",
    "kind_of",
    "padded_rows",
    "read",
    "weigh",
]
