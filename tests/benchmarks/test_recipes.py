"""Recipes name what exists: data sets, estimators, parameters."""

import itertools

import numpy as np
import pytest
from scipy.sparse import issparse

import sklearn_deepcluster
from sklearn_deepcluster.benchmarks._data import SOURCES, load, thinned
from sklearn_deepcluster.benchmarks.recipes import all_recipes

RECIPES = all_recipes()
DENOISING = ("DEPICT", "KMeansNet")  # what their papers pretrain


def class_of(name):
    module, _, name = name.rpartition(".")
    if not module:
        return getattr(sklearn_deepcluster, name)
    return getattr(pytest.importorskip(module, reason=f"{module} is an extra"), name)


def test_every_clusterer_has_a_recipe():
    from sklearn_deepcluster.utils.discovery import all_estimators

    used = {recipe.estimator for recipe in RECIPES.values()}
    assert {name for name, _ in all_estimators(type_filter="cluster")} <= used


def test_baselines_come_first():
    assert list(RECIPES)[0] == "k-means"


def test_recipes_name_existing_data_sets():
    for name, recipe in RECIPES.items():
        assert set(recipe.paper) <= set(recipe.datasets), name
        assert set(recipe.published) <= set(recipe.datasets), name


def configurations(recipe):
    """Data set, kind and settings of every configuration of a recipe."""
    for dataset in recipe.datasets:
        for config in ("default", "paper") if dataset in recipe.paper else ("default",):
            yield dataset, config, recipe.config(config, dataset)


every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@every_recipe
def test_configurations_are_valid_for_the_estimators(recipe):
    cls = class_of(recipe.estimator)
    for dataset, _, settings in configurations(recipe):
        estimator = cls(SOURCES[dataset].n_clusters)
        # set_params refuses unknown names, _validate_params impossible values.
        estimator.set_params(**settings.clusterer)._validate_params()
        name = recipe.representation_name(dataset)
        if name is None:
            assert not settings.representation
            continue
        representation = class_of(name)().set_params(**settings.representation)
        if hasattr(representation, "_parameter_constraints"):
            representation._validate_params()
        assert recipe.slot is None or recipe.slot in estimator.get_params()


@every_recipe
def test_paper_configurations_take_the_input_as_the_paper_does(recipe):
    for dataset, config, settings in configurations(recipe):
        if config == "default":
            assert settings.factor == 1
            assert settings.representation == recipe.default_representation
            continue
        assert settings.source  # without pretraining the scale is always learned: it says so
        if recipe.representation is None:
            continue
        assert settings.representation["scale"] is None
        noise = settings.representation.get("noise", 0)
        assert (noise > 0) == (recipe.estimator in DENOISING)
        # The default has noise, where the network knows it at all.
        representation = class_of(recipe.representation_name(dataset))()
        assert ("noise" in settings.representation) == ("noise" in representation.get_params())


def test_published_scores_are_fractions():
    perfect = RECIPES["jule-rc"].published["cmu-pie"][0]
    assert (perfect.acc, perfect.nmi) == (1.0, 1.0)
    for recipe in RECIPES.values():
        for result in itertools.chain(*recipe.published.values()):
            assert result.acc is None or 0 < result.acc < 1 or result is perfect
            assert result.acc is not None or result.nmi is not None
            assert result.nmi is None or 0 < result.nmi <= 1
            assert result.average in ("arithmetic", "geometric")


def test_unknown_configurations_are_refused():
    with pytest.raises(ValueError, match="no configuration 'paper' for digits; .* for usps"):
        RECIPES["dec"].config("paper", "digits")


def test_text_gets_the_fully_connected_network():
    assert RECIPES["dekm"].representation_name("usps") == "ConvAutoencoder"
    assert RECIPES["dekm"].representation_name("newsgroups") == "Autoencoder"
    assert "newsgroups" not in RECIPES["dcec"].datasets


def test_only_images_come_as_images():
    ddc, dcec, rddc = (RECIPES[name] for name in ("ddc", "dcec", "rddc"))
    assert ddc.form_on("cmu-pie") == dcec.form_on("cmu-pie") == "images"
    assert RECIPES["dec"].form_on("cmu-pie") == "rows"
    # Padded with NaN or not, a sequence is no image.
    assert ddc.form_on("osu-leaf") == ddc.form_on("news20-wordllama") == "rows"
    assert RECIPES["depict"].form_on("osu-leaf") == "rows"
    assert rddc.form_on("osu-leaf") == rddc.form_on("japanese-vowels") == "sequences"
    assert "cmu-pie" not in rddc.datasets and "osu-leaf" not in dcec.datasets


def test_thinned_class_sizes_fall_geometrically():
    y = np.repeat(np.arange(5), 1000)
    rows = thinned(y)
    sizes = np.bincount(y[rows])
    np.testing.assert_array_equal(sizes, [1000, 562, 316, 178, 100])
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_array_equal(rows, thinned(y))


def test_digits_come_as_images_in_the_unit_range():
    data = load("digits")
    assert data.X.shape == (1797, 8, 8)
    assert data.X.dtype == np.float32
    assert (data.X.min(), data.X.max()) == (0, 1)
    assert data.scaled("X", 1, "images") is data.X
    flat = data.scaled("X", 2.0, "rows")
    assert flat.shape == (1797, 64)
    assert flat.max() == 2


@pytest.mark.parametrize("name", SOURCES)
def test_every_data_set_can_be_loaded(name, quick_newsgroups):
    data, source = load(name), SOURCES[name]
    assert len(np.unique(data.y)) == source.n_clusters
    assert data.X.shape[0] == len(data.y)
    assert issparse(data.X) == source.sparse
    assert (data.X.ndim > 2) == (source.images or source.sequences)
    assert data.X.dtype == np.float32
    if source.sequences:
        assert np.isnan(data.X[:, -1]).any() or name == "osu-leaf"  # of equal length
        flat = data.scaled("X", 1, "rows")
        assert flat.shape == (len(data.X), data.X[0].size)
        assert not flat[np.isnan(data.X.reshape(len(data.X), -1))].any()
    elif name.startswith("knet-"):
        # Standardised; the authors' subsets are so as parts of the whole.
        assert abs(data.X.mean(axis=0)).max() < (0.15 if name.endswith("-split") else 1e-5)
        assert abs(data.X.std(axis=0) - 1).max() < (0.25 if name.endswith("-split") else 1e-4)
    elif source.images or name == "newsgroups":
        assert 0.9 < data.X.max() <= 1
    else:  # embeddings, genes and sparse rows, as they are
        assert np.isfinite(data.X.data if source.sparse else data.X).all()
    assert (data.X_test is not None) == (source.load_test is not None)


def test_sparse_data_are_for_those_that_take_them():
    on = {method for method, recipe in RECIPES.items() if "newsgroups-sparse" in recipe.datasets}
    assert {"k-means", "dec", "ddc", "graph-modularity", "ae-lsc-k"} <= on
    assert on.isdisjoint({"knet", "lsc-k", "dcec", "kmeansnet-raw", "average-link"})


def test_the_split_holds_out_the_official_test_part(data_home):
    data = load("usps-split")
    assert (len(data.X), len(data.X_test), len(data.y_test)) == (7291, 2007, 2007)


def test_fewer_posts_are_rows_of_all(data_home):
    whole, data = load("news20-wordllama"), load("news20-wordllama-6000")
    rows = np.random.default_rng(0).permutation(18_846)[:6000]
    np.testing.assert_array_equal(data.X, whole.X[rows])
    np.testing.assert_array_equal(data.y, whole.y[rows])


def test_thinned_mnist_is_reproducible(data_home):
    data = load("mnist-test-thinned")
    sizes = np.bincount(data.y)
    assert sizes[0] == 980
    assert sizes[9] == round(1009 / 10)
    assert data.checksum == load("mnist-test-thinned").checksum


def goes_back(estimator):
    kind = getattr(sklearn_deepcluster, estimator, None)
    return kind is not None and "drift_tol" in kind().get_params(deep=False)


def test_no_papers_configuration_goes_back_from_drift():
    told = {
        (name, dataset): recipe.config("paper", dataset).clusterer.get("drift_tol", "not told")
        for name, recipe in RECIPES.items()
        for dataset in recipe.paper
    }
    own = {name for name, _ in told if goes_back(RECIPES[name].estimator)}
    assert {name for (name, _), value in told.items() if value is None} == own
    assert {"dec", "depict", "ddc", "knet"} <= own
    assert "drift_tol" not in RECIPES["dec"].config("default", "digits").clusterer


def test_every_papers_network_learns_from_all_rows():
    told = {
        (name, dataset): recipe.config("paper", dataset).representation
        for name, recipe in RECIPES.items()
        for dataset in recipe.paper
        if (recipe.representation_name(dataset) or "").endswith("Autoencoder")
        and recipe.representation_name(dataset) != "IdentityAutoencoder"
    }
    assert {"dec", "depict", "dcec"} <= {name for name, _ in told}
    assert all(given["validation_fraction"] is None for given in told.values())
