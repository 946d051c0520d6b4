"""How many clusters the graph finds in data sets whose classes are known."""

import json

import pytest

from sklearn_deepcluster.benchmarks import __main__
from sklearn_deepcluster.benchmarks._counts import counts_table, run_counts


def test_clusters_are_counted_and_what_exists_is_kept(tmp_path, capsys):
    command = ["counts", "digits", "--rows", "300", "--out", str(tmp_path)]
    __main__.main(command)
    path = tmp_path / "n_clusters" / "digits.json"
    record = json.loads(path.read_text())
    assert record["n"] == 300 and record["n_clusters"] == 10
    assert {*record["found"]} == {"modularity", "eigengap"}
    assert all(2 <= count <= 100 for count in record["found"].values())
    assert all(0.5 < nmi < 1 for nmi in record["nmi"])
    assert {"commit", "versions", "data_sha256"} <= {*record}
    before = path.read_bytes()
    __main__.main(command)
    assert path.read_bytes() == before
    assert "exists, skipped" in capsys.readouterr().out


def test_the_table_counts_what_is_within_one(tmp_path):
    paths = []
    for name, modularity, eigengap in (("digits", 11, 10), ("usps", 12, 11), ("coil20", 9, 7)):
        found = {"modularity": modularity, "eigengap": eigengap}
        record = {"dataset": name, "n": 50, "n_clusters": 10, "found": found, "nmi": [0.5, 0.75]}
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(record))
    rows = [row.strip("| ").split(" | ") for row in counts_table(paths).splitlines()]
    assert ["usps", "50", "10", "12", "11", "0.500", "0.750"] in rows
    assert rows[-1][:5] == ["within one", "", "of 3", "2", "2"]


@pytest.mark.parametrize(
    ("datasets", "rows", "match"),
    [(["digits", "letters"], 10, "Unknown data set 'letters'"), (["digits"], 1, "at least 2")],
)
def test_what_cannot_be_counted_is_refused_before_anything_runs(datasets, rows, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        run_counts(datasets, rows, out=tmp_path)
    assert not any(tmp_path.iterdir())
