"""Random parts of data sets, on which settings of the graph are judged."""

import json

import numpy as np
import pytest

from sklearn_deepcluster.benchmarks import __main__, _parts
from sklearn_deepcluster.benchmarks._parts import draw_part, parts_table, run_parts


@pytest.mark.parametrize("number", range(9))
def test_parts_have_some_classes_and_sizes_of_their_kind(number):
    y = np.repeat(np.arange(12), 100)
    rows, kind = draw_part(y, number)
    assert kind == _parts.KINDS[number % 3]
    np.testing.assert_array_equal(rows, np.unique(rows))
    np.testing.assert_array_equal(rows, draw_part(y, number)[0])
    _, sizes = np.unique(y[rows], return_counts=True)
    assert 2 <= len(sizes) <= 10
    falling = [max(15, int(100 * 0.6**i)) for i in range(len(sizes))]
    one_small = [100] * (len(sizes) - 1) + [20]
    expected = {"equal": [100] * len(sizes), "falling": falling, "one small": one_small}[kind]
    assert sorted(sizes, reverse=True) == expected


def test_parts_differ():
    y = np.repeat(np.arange(12), 100)
    classes = [tuple(np.unique(y[draw_part(y, number)[0]])) for number in range(9)]
    assert len({*classes}) > 5


def test_a_parameter_is_judged_on_parts_and_what_exists_is_kept(tmp_path, capsys):
    command = ["parts", "digits", "n_neighbors=5,auto", "--parts", "3", "--out", str(tmp_path)]
    __main__.main(command)
    path = tmp_path / "parts" / "digits-n_neighbors.json"
    record = json.loads(path.read_text())
    assert record["values"] == [5, "auto"]
    assert [part["kind"] for part in record["parts"]] == [*_parts.KINDS]
    assert all(0.3 < nmi <= 1 for part in record["parts"] for nmi in part["nmi"])
    assert {"commit", "versions", "data_sha256"} <= {*record}
    before = path.read_bytes()
    __main__.main(command)
    assert path.read_bytes() == before
    assert "exists, skipped" in capsys.readouterr().out
    for values, n_parts in (([5], 3), ([5, "auto"], 2)):
        with pytest.raises(ValueError, match="is of other values or parts: remove it"):
            run_parts(["usps", "digits"], "n_neighbors", values, n_parts, out=tmp_path)
    assert [*path.parent.iterdir()] == [path]


def test_the_table_has_means_by_data_set_and_by_kind(tmp_path):
    paths = []
    for name, nmi in (("digits", [0.5, 0.7]), ("usps", [0.3, 0.4])):
        parts = [
            {"kind": "equal", "n": 20, "n_clusters": 2, "nmi": nmi},
            {"kind": "falling", "n": 20, "n_clusters": 2, "nmi": [0.1, 0.3]},
        ]
        record = {"dataset": name, "parameter": "resolution", "values": [1.0, "auto"]}
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(record | {"parts": parts}))
    lines = parts_table(paths).splitlines()
    assert lines[4:] == [
        "| digits | 2 | 0.300 | 0.500 |",
        "| usps | 2 | 0.200 | 0.350 |",
        "| all, equal | 2 | 0.400 | 0.550 |",
        "| all, falling | 2 | 0.100 | 0.300 |",
        "| all | 4 | 0.250 | 0.425 |",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["digits", "digit"], "n_neighbors", [5]), "Unknown data set 'digit'"),
        ((["osu-leaf"], "n_neighbors", [5]), "Unknown data set 'osu-leaf'"),
        ((["digits"], "neighbors", [5]), "Invalid parameter 'neighbors'"),
        ((["digits"], "n_neighbors", [0]), "'n_neighbors' parameter"),
        ((["digits"], "n_neighbors", [5], 0), "number of parts must be at least 1, got 0"),
        ((["digits"], "n_clusters", [5]), "n_clusters is the number of classes of each part"),
    ],
)
def test_what_is_unknown_is_refused_at_once(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_parts(*arguments, out=tmp_path)
    assert not list(tmp_path.iterdir())
