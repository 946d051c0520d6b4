"""Runs resume per seed, share pretraining, and their records fill the tables."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sklearn_deepcluster import DEC
from sklearn_deepcluster.benchmarks import __main__ as command
from sklearn_deepcluster.benchmarks import (
    _run,
    best,
    compare,
    recipes,
    restarts,
    run,
    start,
    table,
)
from sklearn_deepcluster.benchmarks._data import Data, Source, load
from sklearn_deepcluster.benchmarks._records import packed, unpacked, write_record
from sklearn_deepcluster.benchmarks._run import some_labels
from sklearn_deepcluster.cluster._moves import modularity, neighbor_edges

LAST = {"kind": "run", "representation": "Autoencoder", "device": "cpu", "precision": "float32"}


def silent(line):
    pass


def record(method="dec", dataset="usps", seed=0, acc=0.75, **extra):
    scores = {"acc": acc, "nmi": acc - 0.1, "nmi_geometric": acc - 0.05, "ari": 0.5}
    return {
        **LAST,
        "method": method,
        "title": method.upper(),
        "dataset": dataset,
        "config": "default",
        "seed": seed,
        "scores": scores,
        "seconds_pretraining": 10.4,
        "seconds_clustering": 5.2,
        **extra,
    }


def write(folder, *records):
    for i, each in enumerate(records):
        write_record(folder / each["dataset"] / f"{each['method']}-{i}.json", each)


def cells(text, title):
    """Cells of the row of a markdown table that begins with `title`, by column."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return dict(zip(head, next(row for row in rows if row[0] == title), strict=True))


def test_kmeans_on_digits_end_to_end(tmp_path, capsys):
    command.main(["run", "k-means", "digits", "--seeds", "2", "--out", str(tmp_path)])
    assert "k-means-default-seed1.json: ACC 0.79" in capsys.readouterr().out
    saved = json.loads((tmp_path / "digits" / "k-means-default-seed1.json").read_text())
    X = load("digits").X.reshape(1797, -1)
    kmeans = KMeans(10, n_init=20, random_state=1).fit(X)
    nmi = normalized_mutual_info_score(load("digits").y, kmeans.labels_)
    assert saved["scores"]["nmi"] == pytest.approx(nmi)
    assert saved["restart_score"] == pytest.approx(kmeans.score(X))
    assert saved["seed"] == saved["parameters"]["random_state"] == 1
    assert (saved["n"], saved["n_features"], saved["device"]) == (1797, 64, "cpu")
    assert saved["data_sha256"] == load("digits").checksum
    assert saved["seconds_pretraining"] == 0
    assert saved["seconds_clustering"] > 0

    command.main(["table", "--out", str(tmp_path)])
    row = cells(capsys.readouterr().out, "k-means")
    assert row["seeds"] == "0-1"
    assert row["NMI"].startswith("0.74")


def test_a_seed_with_a_record_is_not_run_again(tmp_path):
    lines = []
    run(["k-means"], "digits", n_seeds=1, out=tmp_path, report=silent)
    path = tmp_path / "digits" / "k-means-default-seed0.json"
    path.write_text("{}")
    run(["k-means"], "digits", n_seeds=2, out=tmp_path, report=lines.append)
    assert path.read_text() == "{}"
    assert lines[0] == "k-means-default-seed0.json: exists, skipped"
    assert lines[1].startswith("k-means-default-seed1.json: ACC")


def test_list_names_every_recipe_and_source(capsys):
    command.main(["list"])
    out = capsys.readouterr().out
    for name, recipe in recipes.all_recipes().items():
        assert f"{name}: {recipe.title}" in out
    assert "published: ACC 0.764, NMI 0.787 (geometric), DEC-keras" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["meanshift", "digits"], "Unknown method 'meanshift'"),
        (["k-means", "iris"], "Unknown data set 'iris'"),
        (["dcec", "newsgroups"], "dcec needs images"),
        (["dec", "digits", "--config", "paper"], "no configuration 'paper' for digits"),
        (["dec", "digits", "--vary", "rate=1"], "dec has no parameter rate on digits"),
        (["dec", "digits", "--vary", "autoencoder__rate=1"], "no parameter autoencoder__rate"),
        (
            ["k-means", "digits", "--vary", "autoencoder__noise=0"],
            "no parameter autoencoder__noise",
        ),
        (["dec", "digits", "--vary", "lr"], "'lr' is not of the form NAME=VALUE"),
    ],
)
def test_what_is_unknown_is_refused_at_once(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as refusal:
        command.main(["run", *arguments, "--out", str(tmp_path)])
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_zero_seeds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="number of seeds must be at least 1, got 0"):
        run(["k-means"], "digits", n_seeds=0, out=tmp_path)


@pytest.fixture
def small(monkeypatch):
    """A data set of 60 images with 30 held out, and recipes with small autoencoders."""
    rng = np.random.default_rng(0)
    X = rng.random((90, 4, 4), dtype=np.float32)
    y = np.arange(90) % 3
    data = Data(X[:60], y[:60], X[60:], y[60:], "checksum")
    tiny = {"hidden_layer_sizes": (8,), "n_components": 2, "max_epochs": 1, "min_steps": 3}
    steps = {"max_epochs": 1, "min_steps": 3}
    names = {
        "ae-kmeans": ("sklearn.cluster.KMeans", None, {}),
        "dec": ("DEC", "autoencoder", steps),
    }
    tiny_recipes = {
        name: recipes.Recipe(
            name,
            name,
            estimator,
            representation="Autoencoder",
            slot=slot,
            paper={"small": recipes.Config(tiny, params, factor=2.0, source="a test")},
        )
        for name, (estimator, slot, params) in names.items()
    }
    tiny_recipes["dekm-f"] = recipes.Recipe(
        "dekm-f",
        "dekm-f",
        "DEKM",
        representation="ConvAutoencoder",
        default={"batch_size": None},
        paper={
            "small": recipes.Config(
                {"filters": (2,), "kernel_sizes": (3,), "max_epochs": 1, "min_steps": 3},
                {"max_iter": 1, "update_interval": 1},
            )
        },
    )
    sources = {"small": Source(None, 3, white=1, n_seeds=2)}
    monkeypatch.setattr(_run, "SOURCES", sources)
    monkeypatch.setattr(recipes, "SOURCES", sources)
    monkeypatch.setattr(_run, "all_recipes", lambda: tiny_recipes)
    monkeypatch.setattr(_run, "load", lambda name: data)
    return data


def test_methods_share_the_pretraining_of_a_seed(small, tmp_path):
    methods = ["ae-kmeans", "dec"]
    paths = run(methods, "small", config="paper", out=tmp_path, report=silent)
    saved = [json.loads(path.read_text()) for path in paths]
    assert [(r["method"], r["seed"]) for r in saved] == [(m, s) for s in (0, 1) for m in methods]
    assert [r["pretraining_shared"] for r in saved] == [False, True, False, True]
    seconds = [r["seconds_pretraining"] for r in saved]
    assert seconds[0] == seconds[1] != seconds[2] == seconds[3]
    assert seconds[0] > 0


def test_a_record_holds_what_was_run(small, tmp_path):
    options = {"config": "paper", "n_seeds": 1, "precision": "float32"}
    (path,) = run(["dec"], "small", out=tmp_path, report=silent, **options)
    assert path == tmp_path / "small" / "dec-paper-float32-seed0.json"
    saved = json.loads(path.read_text())
    assert saved["representation_parameters"]["n_components"] == 2
    assert saved["representation_parameters"]["precision"] == "float32"
    assert saved["representation_parameters"]["random_state"] == 0
    assert saved["parameters"]["min_steps"] == 3
    assert saved["parameters"]["autoencoder"].startswith("FrozenEstimator")
    assert (saved["factor"], saved["config_source"]) == (2.0, "a test")
    assert (saved["device"], saved["precision"]) == ("cpu", "float32")
    assert saved["n_iter"] >= 1
    assert {"acc", "nmi", "nmi_geometric", "ari"} <= set(saved["scores"])
    assert set(saved["scores_test"]) == set(saved["scores"])
    labels = unpacked(saved["labels"])
    assert saved["scores"]["ari"] == pytest.approx(adjusted_rand_score(small.y, labels))
    edges = neighbor_edges(small.X.reshape(60, -1), 4)
    assert saved["modularity"]["euclidean"] == pytest.approx(modularity(edges, labels))
    flat = small.X.reshape(60, -1), small.X_test.reshape(30, -1)
    kmeans = KMeans(3, n_init=20, random_state=0).fit(flat[0])
    accuracy = _run.unsupervised_accuracy
    drop = accuracy(small.y_test, kmeans.predict(flat[1])) - accuracy(small.y, kmeans.labels_)
    assert saved["kmeans_drop"] == pytest.approx(drop)


def test_parameters_can_be_varied(small, tmp_path):
    vary = {"tol": [0, 0.5], "autoencoder__n_components": [3]}
    options = {"config": "paper", "n_seeds": 1, "out": tmp_path, "report": silent}
    paths = run(["dec"], "small", vary=vary, **options)
    names = [f"dec-paper,autoencoder__n_components=3,tol={tol}-seed0.json" for tol in (0, 0.5)]
    assert [path.name for path in paths] == names
    saved = [json.loads(path.read_text()) for path in paths]
    assert [r["parameters"]["tol"] for r in saved] == [0, 0.5]
    assert [r["representation_parameters"]["n_components"] for r in saved] == [3, 3]
    assert [r["pretraining_shared"] for r in saved] == [False, True]
    assert saved[0]["parameters"]["min_steps"] == 3  # the rest is as in the configuration
    assert saved[0]["config"] == "paper,autoencoder__n_components=3,tol=0"
    assert saved[0]["config_source"] == "a test, but autoencoder__n_components, tol"


def test_varied_values_are_read_as_python_or_text():
    assert command._values("lr=1e-4,3") == ("lr", [1e-4, 3])
    assert command._values("target=nearest,None") == ("target", ["nearest", None])


def test_convolutional_representations_get_images(small, tmp_path):
    (path,) = run(["dekm-f"], "small", config="paper", n_seeds=1, out=tmp_path, report=silent)
    saved = json.loads(path.read_text())
    assert saved["representation"] == "ConvAutoencoder"
    assert saved["n_features"] == 16
    assert saved["parameters"]["batch_size"] is None
    assert saved["parameters"]["max_iter"] == 1


def test_default_is_the_default_representation_of_the_clusterer():
    state = {"device": "cpu", "precision": "float32", "random_state": 4}
    for method, dataset in (("dcec", "usps"), ("dec", "usps"), ("dekm", "usps")):
        recipe = recipes.all_recipes()[method]
        name = recipe.representation_name(dataset)
        settings = recipe.config("default", dataset)
        X = np.zeros((3, 8, 8) if name == "ConvAutoencoder" else (3, 64))
        made = _run._representation(recipe, name, settings, state, X)
        assert type(made).__name__ == name
        assert {key: made.get_params()[key] for key in state} == state


def test_cells_of_a_table(tmp_path):
    runs = [record(seed=seed, acc=acc) for seed, acc in enumerate((0.74, 0.75, 0.79))]
    write(tmp_path, *runs)
    row = cells(table(tmp_path), "DEC")
    assert row == {
        "method": "DEC",
        "configuration": "default, cpu float32",
        "seeds": "0-2",
        "ACC": "0.760 ± 0.026",
        "NMI": "0.660 ± 0.026",
        "NMI (geometric)": "0.710 ± 0.026",
        "ARI": "0.500 ± 0.000",
        "seconds": "10 + 5",
        "published ACC / NMI": "0.741 (IDEC repository); 0.764 / 0.787 (DEC-keras)",
        "difference": "+0.019",
    }


def test_the_nmi_is_compared_by_the_normaliser_of_the_source(tmp_path):
    write(tmp_path, record("ae-kmeans", acc=0.759), record("dekm", acc=0.7975))
    text = table(tmp_path)
    assert cells(text, "AE-KMEANS")["difference"] == "+0.050 / +0.025"  # geometric, .684
    assert cells(text, "DEKM")["difference"] == "+0.000 / -0.125"  # arithmetic, .8223


def test_precisions_and_configurations_get_rows_of_their_own(tmp_path):
    write(
        tmp_path,
        record(),
        record(precision="bfloat16"),
        record(config="paper", seed=1),
        record(config="paper", seed=3),
    )
    lines = [line for line in table(tmp_path).splitlines() if line.startswith("| DEC")]
    assert [line.split(" | ")[1:3] for line in lines] == [
        ["default, cpu bfloat16", "0"],
        ["default, cpu float32", "0"],
        ["paper, cpu float32", "1, 3"],
    ]


def test_held_out_scores_get_columns(tmp_path):
    tests = {"scores_test": {"acc": 0.72, "nmi_geometric": 0.61}, "kmeans_drop": -0.034}
    write(tmp_path, record(dataset="usps-split", **tests))
    row = cells(table(tmp_path), "DEC")
    assert row["ACC held out"] == "0.720"
    assert row["NMI held out (geometric)"] == "0.610"
    assert row["drop"] == "-0.030"
    assert row["drop of k-means"] == "-0.034"


def test_tables_come_in_the_order_of_the_data_sets_and_methods(tmp_path):
    write(tmp_path, record("dekm"), record("dec"), record("k-means"), record("dec", "digits"))
    text = table(tmp_path)
    assert text.index("**digits**") < text.index("**usps**")
    assert text.index("| K-MEANS") < text.rindex("| DEC |") < text.index("| DEKM")
    assert "digits" not in table(tmp_path, dataset="usps")


def test_rst_holds_the_same_cells(tmp_path):
    write(tmp_path, record())
    text = table(tmp_path, "rst")
    assert text.startswith(".. list-table:: usps\n   :header-rows: 1\n")
    items = [line[7:] for line in text.splitlines() if line[3:7] in ("* - ", "  - ")]
    row = cells(table(tmp_path), "DEC")
    assert items == [*row.keys(), *row.values()]


def test_no_records_no_table(tmp_path):
    assert table(tmp_path) == ""


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format must be one of .*, got 'html'"):
        table(tmp_path, "html")


def test_restarts_rank_the_seeds_by_what_needs_no_labels(tmp_path):
    acc, scores = [0.5, 0.7, 0.6, 0.9, 0.8], [1.0, 2.0, 3.0, 4.0, 5.0]
    labels = np.repeat([[0, 0, 0, 1, 1, 1]], 5, axis=0)
    labels[0, 2] = 1  # which agrees least with the others
    graphs = [{"euclidean": 0.1, "cosine": m} for m in (0.5, 0.6, 0.7, 0.75, 0.8)]
    runs = [
        record(
            seed=i, acc=a, restart_score=s, n_clusters=10, loss=-s, labels=packed(own), modularity=m
        )
        for i, (a, s, own, m) in enumerate(zip(acc, scores, labels, graphs, strict=True))
    ]
    for run_ in runs:
        run_["scores"]["n_clusters_found"] = 10
    write(tmp_path, *runs)
    row = cells(restarts(tmp_path), "usps")
    assert (row["method"], row["seeds"]) == ("DEC", "5")
    assert (row["mean ACC"], row["best ACC"]) == ("0.700", "0.900")
    # Ranks 1 3 2 5 4 against 1 2 3 4 5: 1 - 6 (0 + 1 + 1 + 1 + 1) / (5 (25 - 1)); .8 is kept.
    assert row["score"] == row["modularity"] == row["loss"] == "+0.80, +0.100"
    # Four are equal: ranks 1 3.5 3.5 3.5 3.5 against 1 3 2 5 4; the first of them is kept.
    assert row["agreement"] == "+0.71, +0.000"
    # What was recorded before labels were, and runs that are all equal, have no order.
    for run_ in runs:
        del run_["labels"]
    write(tmp_path, *runs)
    assert cells(restarts(tmp_path), "usps")["agreement"] == "-"
    for run_ in runs:
        run_["scores"]["acc"] = 0.5
    write(tmp_path, *runs)
    assert cells(restarts(tmp_path), "usps")["score"] == "-"
    # A run that lost a cluster would lose to the others, so it is not ranked.
    runs[0]["scores"]["n_clusters_found"] = 9
    write(tmp_path, *runs)
    assert restarts(tmp_path) == ""


def test_some_labels_are_drawn_per_class():
    y = np.repeat([3, 5, 7], 50)
    partial = some_labels(y, 12, seed=0)
    known = partial != -1
    np.testing.assert_array_equal(partial[known], y[known])
    np.testing.assert_array_equal(np.unique(partial[known], return_counts=True)[1], [4, 4, 4])
    assert (partial != some_labels(y, 12, seed=1)).any()


def test_a_small_class_gives_all_its_labels():
    y = np.repeat([0, 1, 2], [20, 2, 20])
    partial = some_labels(y, 12, seed=0)
    assert np.bincount(partial[partial != -1]).tolist() == [4, 2, 4]


def test_a_recipe_with_labels_gives_them_to_fit(small, tmp_path, monkeypatch):
    seen = []
    recipe = dataclasses.replace(_run.all_recipes()["dec"], n_labels=3)
    monkeypatch.setattr(_run, "all_recipes", lambda: {"dec": recipe})
    fit = DEC.fit
    monkeypatch.setattr(DEC, "fit", lambda self, X, y=None: (seen.append(y), fit(self, X, y))[1])
    (path,) = run(["dec"], "small", config="paper", n_seeds=1, out=tmp_path, report=list)
    assert (seen[0] != -1).sum() == 3 == json.loads(path.read_text())["n_labels"]


def test_compare_puts_methods_side_by_side(tmp_path):
    asked = {"device": "auto", "precision": "auto"}
    runs = [record(seed=s, acc=0.7 + s / 10, asked=asked, config="default") for s in (0, 1)]
    others = [record(config="paper", asked=asked), record(asked=asked | {"precision": "float32"})]
    write(tmp_path, *runs, *others)
    text = compare(["dec", "idec"], ["usps", "digits"], tmp_path)
    *_, head, _, usps, digits = text.splitlines()
    assert head == "| data | DEC | IDEC |"
    assert usps == "| usps | 0.650 ± 0.071 (2) | - |"
    assert digits == "| digits | - | - |"
    acc = compare(["dec"], ["usps"], tmp_path, "rst", score="acc")
    assert "- 0.750 ± 0.071 (2)" in acc


def test_start_shows_where_methods_come_from_and_what_they_gain(tmp_path):
    asked = {"device": "auto", "precision": "auto"}
    runs = [record(seed=s, acc=0.8 + s / 10, asked=asked, config="default") for s in (0, 1)]
    for one in runs:
        one |= {"scores_start": dict.fromkeys(one["scores"], 0.72), "changed": 0.25}
    unknown = record("idec", asked=asked, config="default")
    write(tmp_path, *runs, unknown)
    *_, head, _, usps, digits, gain = start(["dec", "idec"], ["usps", "digits"], tmp_path).split(
        "\n"
    )
    assert head == "| data | DEC | IDEC |"
    assert usps == "| usps | .720 → .750 (25%) | - |"
    assert digits == "| digits | - | - |"
    assert gain == "| mean gain | +0.030 | - |"
    assert "| data | DEC |" in start(records_dir=tmp_path)


def test_best_is_the_run_with_the_least_loss(tmp_path, capsys):
    asked = {"device": "auto", "precision": "auto"}
    losses = {0: 0.5, 1: 0.4, 2: 0.6}
    write(
        tmp_path,
        *[
            record("ddc", seed=s, acc=0.6 + s / 10, asked=asked, loss=loss)
            for s, loss in losses.items()
        ],
        record("ddc", seed=3, acc=0.1, asked=asked, loss=0.1, config="paper"),
        record("dec", asked=asked),
    )
    text = best(["ddc", "dec", "idec"], ["usps", "digits"], tmp_path)
    *_, ddc, dec = text.splitlines()
    published = "0.69 (DTKC thesis, mean of 20); 0.81 (DTKC thesis, best of 20 by loss)"
    # Best of three runs: the first by loss with 19/27, the second 7/27, the third 1/27.
    expected = (19 * 0.7 + 7 * 0.6 + 1 * 0.8) / 27
    assert ddc == (
        f"| usps | DDC | 3 | 0.700 | 0.700 | 0.100 | 0.800 | {expected:.3f} | {published} |"
    )
    # Older records have no loss: what depends on it is not known.
    assert dec.startswith("| usps | DEC | 1 | - | 0.750 | - | 0.750 | - |")
    command.main(["best", "ddc", "usps", "--config", "paper", "--out", str(tmp_path)])
    assert "| usps | DDC | 1 | 0.100 |" in capsys.readouterr().out
    assert best(["idec"], ["usps"], tmp_path) == ""


def test_a_published_score_of_held_out_rows_is_compared_with_those(tmp_path):
    method, dataset = "depict-100-labels", "mnist-split"
    tests = {"scores_test": {"acc": 0.9735, "nmi_geometric": 0.85}, "kmeans_drop": 0.0}
    write(tmp_path, record(method, dataset, acc=0.5, **tests))
    assert "| +0.000 |" in table(tmp_path)


def test_published_scores_may_be_of_the_nmi_alone(tmp_path):
    tests = {"scores_test": {"acc": 0.9, "nmi_geometric": 0.911 - 0.02}, "kmeans_drop": 0.0}
    write(tmp_path, record("knet", "knet-wine-split", acc=0.5, **tests))
    row = cells(table(tmp_path), "KNET")
    assert row["published ACC / NMI"] == "- / 0.911 (KNet paper)"
    assert row["difference"] == "- / -0.020"


@pytest.mark.parametrize(("asked", "got"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_an_estimator_keeps_its_own_default_precision(asked, got):
    """KNet trains in float32, unless something else is asked for."""
    state = {"device": "cpu", "precision": asked, "random_state": 0}
    recipe = recipes.all_recipes()["knet"]
    estimator = _run._estimator(recipe, recipe.config("default", "digits"), 10, state, None)
    assert estimator.precision == got
    assert _run._computed_on(estimator) == {"device": "cpu", "precision": got}


def test_records_name_the_commit_that_was_checked_out_at_the_start(small, tmp_path, monkeypatch):
    stamps = iter([{"commit": "at the start"}])
    monkeypatch.setattr(_run, "environment", lambda: next(stamps))
    paths = run(["dec"], "small", config="paper", n_seeds=2, out=tmp_path, report=silent)
    assert [json.loads(path.read_text())["commit"] for path in paths] == ["at the start"] * 2
