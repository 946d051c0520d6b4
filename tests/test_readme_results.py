"""The README's numbers are those of the committed records."""

import pathlib
import runpy

import pytest

from sklearn_deepcluster.benchmarks import best, compare, table

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("dataset", ["usps", "mnist"])
def test_tables_are_those_of_the_records(dataset):
    text = table(ROOT / "doc" / "records", dataset=dataset, brief=True)
    assert text
    assert text in (ROOT / "README.md").read_text()


def test_the_comparison_is_that_of_the_records():
    """The same as on the guide's page on kinds of data."""
    pages = runpy.run_path(ROOT / "doc" / "_ext" / "generated_pages.py")
    text = compare(**pages["KINDS_OF_DATA"], records_dir=ROOT / "doc" / "records")
    assert text in (ROOT / "README.md").read_text()


def test_the_comparison_of_knet_is_that_of_the_records():
    methods = "k-means spectral knet knet-sma".split()
    datasets = [f"knet-{name}" for name in "moon spiral cancer wine face rcv".split()]
    records = ROOT / "doc" / "records"
    text = compare(methods, datasets, records, score="nmi_geometric")
    assert text in (ROOT / "README.md").read_text()


def test_the_table_of_the_divergence_family_is_that_of_the_records():
    methods = "graph-modularity ddc ddc-random dtkc dtkc-random dtkc-ss rdtkc rdtkc-random".split()
    datasets = "mnist-10000 usps coil20 mnist-test mnist-split".split()
    datasets += ["character-trajectories", "spoken-arabic-digits"]
    text = best(methods, datasets, ROOT / "doc" / "records")
    assert text in (ROOT / "README.md").read_text()
    guide = (ROOT / "doc" / "guide" / "divergence.rst").read_text()
    for score in ("acc", "nmi"):
        text = best(methods, datasets, ROOT / "doc" / "records", "rst", score=score)
        assert text in guide
