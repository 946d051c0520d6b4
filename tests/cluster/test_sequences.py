"""RDDC and RDTKC: every form of sequences is one, whatever their length."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from torch import nn

from sklearn_deepcluster import (
    DDC,
    RDDC,
    RDTKC,
    Autoencoder,
    GraphAgglomerative,
    GRUEncoder,
    MLPEncoder,
    load_model,
    save_model,
)
from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.cluster import _start
from sklearn_deepcluster.cluster._descriptions import describe, found_again
from sklearn_deepcluster.nn import pack

LONGEST, N_FEATURES = 12, 2
SEQUENTIAL = pytest.mark.parametrize("cls", [RDDC, RDTKC])


def three_kinds(n=90, seed=0):
    """Sequences (time, 2) of 4 to 12 steps that rise, fall or stay, and which they are."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % 3
    lengths = rng.randint(4, LONGEST + 1, size=n)
    lengths[:3] = LONGEST
    X = []
    for kind, time in zip(y, lengths, strict=True):
        trend = (kind - 1) * np.linspace(0.0, 2.0, time)
        X.append((trend[:, None] * [1.0, -1.0] + 0.1 * rng.randn(time, 2)).astype(np.float32))
    return X, y


def padded(X, length=LONGEST):
    out = np.full((len(X), length, X[0].shape[1]), np.nan, dtype=np.float32)
    for row, x in zip(out, X, strict=True):
        row[: len(x)] = x
    return out


def quick(cls=RDDC, encoder=None, n_layers=1, **params):
    defaults = {"init": None, "max_epochs": 4, "min_steps": 40, "batch_size": 30, "lr": 2e-2}
    defaults["drift_tol"] = None
    if encoder is None:
        encoder = GRUEncoder(hidden_size=6, n_layers=n_layers, n_components=8)
    return cls(3, encoder=encoder, random_state=0, **(defaults | params))


BRIEF = {"max_epochs": 1, "min_steps": 0}
may_be_empty = pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")


@pytest.fixture(scope="module")
def data():
    return three_kinds()


@pytest.fixture(scope="module")
def models(data):
    """Fitted on the list, one of each class; not to be changed."""
    return {cls: quick(cls).fit(data[0]) for cls in (RDDC, RDTKC)}


@pytest.fixture(scope="module")
def briefly(data):
    """Three steps of each, for what is equal to the last bit however little was learned."""
    return {cls: quick(cls, **BRIEF).fit(data[0]) for cls in (RDDC, RDTKC)}


# -- one result for every form -------------------------------------------------------------------


@SEQUENTIAL
def test_it_clusters_sequences_of_different_lengths(cls, models, data):
    X, y = data
    model = models[cls]
    assert adjusted_rand_score(y, model.labels_) > 0.95
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.sample_shape_ == (LONGEST, N_FEATURES) and model.n_features_in_ == N_FEATURES
    assert model.transform(X).shape == (90, 8) and model.predict_proba(X).shape == (90, 3)
    assert model.score(X) < 0


FORMS = {
    "array": padded,
    "float64 array": lambda X: padded(X).astype(np.float64),
    "Fortran order": lambda X: np.asfortranarray(padded(X)),
    "tuple": tuple,
    "float64 list": lambda X: [x.astype(np.float64) for x in X],
    "nested lists": lambda X: [x.tolist() for x in X],
    "array of arrays": lambda X: np.array([*X, None], dtype=object)[:-1],
}


@SEQUENTIAL
@pytest.mark.parametrize("form", FORMS)
@may_be_empty
def test_every_form_gives_the_same_result(cls, form, briefly, data):
    X, _ = data
    model, other = briefly[cls], FORMS[form](X)
    np.testing.assert_array_equal(model.transform(other), model.transform(X))
    again = clone(model).fit(other)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    np.testing.assert_array_equal(again.coef_, model.coef_)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert again.scale_ == model.scale_ and again.sample_shape_ == model.sample_shape_


@SEQUENTIAL
@may_be_empty
def test_flat_rows_of_a_known_shape_give_the_same_result(cls, briefly, data):
    X, _ = data
    model, flat = briefly[cls], padded(X).reshape(90, -1)
    other = clone(model).set_params(encoder__sample_shape=(LONGEST, N_FEATURES)).fit(flat)
    np.testing.assert_array_equal(other.labels_, model.labels_)
    np.testing.assert_array_equal(other.coef_, model.coef_)
    for form in (flat, X, padded(X)):
        np.testing.assert_array_equal(other.transform(form), model.transform(X))
    assert other.n_features_in_ == LONGEST * N_FEATURES
    assert other.sample_shape_ == (LONGEST, N_FEATURES)


@may_be_empty
def test_numbers_are_sequences_of_one_feature(data):
    X = [x[:, 0] for x in data[0]]
    model = quick(**BRIEF).fit(X)
    other = quick(**BRIEF).fit([x[:, None] for x in X])
    of_rows = clone(model.encoder).set_params(sample_shape=(LONGEST, 1))
    rows = quick(encoder=of_rows, **BRIEF).fit(padded([x[:, None] for x in X])[:, :, 0])
    for same in (other, rows):
        np.testing.assert_array_equal(same.coef_, model.coef_)
        np.testing.assert_array_equal(same.labels_, model.labels_)
    assert model.sample_shape_ == (LONGEST, 1) and model.n_features_in_ == 1
    assert adjusted_rand_score(data[1], quick().fit(X).labels_) > 0.9


@may_be_empty
def test_rows_without_a_shape_are_sequences_of_numbers():
    X, y = three_kinds()
    rows = np.array([x[:4].T.ravel() for x in X])
    model = quick(**BRIEF).fit(rows)
    np.testing.assert_array_equal(model.coef_, quick(**BRIEF).fit(rows[:, :, None]).coef_)
    assert model.sample_shape_ == (8, 1) and model.n_features_in_ == 8


@SEQUENTIAL
def test_more_padding_changes_nothing(cls, models, data):
    """But rounding: how products are grouped depends on the lengths."""
    X, _ = data
    model = models[cls]
    for length in (LONGEST + 1, 3 * LONGEST):
        longer = padded(X, length)
        np.testing.assert_array_equal(model.predict(longer), model.labels_)
        np.testing.assert_allclose(
            model.transform(longer), model.transform(X), rtol=1e-5, atol=1e-6
        )
    again = clone(model).fit(longer)
    assert again.sample_shape_ == model.sample_shape_
    np.testing.assert_array_equal(again.labels_, model.labels_)
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-4, atol=1e-5)
    assert again.scale_ == pytest.approx(model.scale_, rel=1e-12)


@SEQUENTIAL
def test_centre_and_scale_are_those_of_the_values_without_padding(cls, models, data):
    values = np.concatenate(data[0]).astype(np.float64)
    np.testing.assert_allclose(models[cls].center_, values.mean(axis=0), rtol=1e-9)
    rest = values - values.mean(axis=0)
    assert models[cls].scale_ == pytest.approx(np.sqrt((rest**2).mean()), rel=1e-9)


@SEQUENTIAL
def test_sequences_of_other_lengths_are_predicted(cls, models):
    model = models[cls]
    new, kinds = three_kinds(60, seed=1)
    assert adjusted_rand_score(kinds, model.predict(new)) > 0.9
    for length in (1, 3, LONGEST + 20):
        X = np.random.RandomState(0).randn(5, length, N_FEATURES)
        assert np.isfinite(model.transform(X)).all()
        assert model.predict(list(X)).shape == (5,)


@SEQUENTIAL
def test_a_sequence_is_embedded_alike_in_any_company(cls, models, data):
    """Up to rounding, too."""
    X, _ = data
    model = models[cls]
    whole = model.transform(X)
    alone = np.concatenate([model.transform([x]) for x in X[:20]])
    np.testing.assert_allclose(alone, whole[:20], rtol=1e-5, atol=1e-6)
    order = np.random.RandomState(0).permutation(90)
    shuffled = model.transform([X[i] for i in order])
    np.testing.assert_allclose(shuffled, whole[order], rtol=1e-5, atol=1e-6)


@SEQUENTIAL
@may_be_empty
def test_a_memory_map_of_sequences_is_read_where_it_lies(cls, briefly, data, tmp_path):
    X = padded(data[0])
    X.tofile(tmp_path / "X.dat")
    mapped = np.memmap(tmp_path / "X.dat", dtype=np.float32, mode="r", shape=X.shape)
    used = []

    class Look(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_begin(self, net, dataset_train, **kwargs):
            used.append(dataset_train.rows.X)

    model = quick(cls, callbacks=[Look()], **BRIEF).fit(mapped)
    assert all(np.shares_memory(rows, mapped) for rows in used) and used
    np.testing.assert_array_equal(model.coef_, briefly[cls].coef_)


# -- what it starts from -------------------------------------------------------------------------


def sines(rates=(0.25, 0.4), n=100, time=80, n_features=4):
    """Noisy sines of two rates, an array (n, time, n_features), and which they are.

    The phase of each feature is its own.
    """
    rng = np.random.RandomState(0)
    y = np.arange(n) % 2
    phase = rng.uniform(0, 2 * np.pi, (n, 1, n_features))
    X = np.sin(np.take(rates, y)[:, None, None] * np.arange(time)[:, None] + phase)
    return (X + 0.5 * rng.randn(*X.shape)).astype(np.float32), y


def described(X, n_clusters, longest=None):
    rows = padded(X, longest or max(map(len, X)))
    return describe(rows.reshape(len(X), -1), rows.shape[2], n_clusters, seed=0)


def graph_clusters(rows, n_clusters):
    return GraphAgglomerative(n_clusters, n_neighbors=6).fit_predict(rows)


def shifted_shapes(n=100, time=80):
    """Two peaks up, or one up and one down, anywhere in time, and which they are."""
    rng = np.random.RandomState(0)
    first, second = (np.exp(-(((np.arange(time) - place) / 3) ** 2)) for place in (20, 35))
    y = np.arange(n) % 2
    X = [np.roll(first + (1 - 2 * kind) * second, rng.randint(time)) for kind in y]
    return (np.array(X) + 0.1 * rng.randn(n, time)).astype(np.float32)[:, :, None], y


def test_sines_of_two_rates_come_apart_whatever_their_phases():
    X, y = sines()
    model = RDDC(2, min_steps=300, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) >= 0.95


def test_a_description_is_chosen_that_tells_the_clusters_apart():
    X, y = shifted_shapes()
    assert adjusted_rand_score(y, graph_clusters(X.reshape(100, -1), 2)) < 0.1
    assert adjusted_rand_score(y, graph_clusters(described(X, 2), 2)) > 0.95
    X, y = three_kinds()  # of different lengths
    assert adjusted_rand_score(y, graph_clusters(described(X, 3), 3)) > 0.95


def test_the_description_does_not_depend_on_padding():
    X, _ = three_kinds()
    np.testing.assert_array_equal(described(X, 3), described(X, 3, 3 * LONGEST))


def test_few_sequences_are_described_by_their_values():
    X = three_kinds()[0][:20]
    np.testing.assert_array_equal(described(X, 3), np.nan_to_num(padded(X)).reshape(20, -1))


@pytest.mark.parametrize("time", [1, 2, 30])
def test_what_hardly_varies_is_no_description(time):
    """Of single steps most descriptions are constant, and of standardised ones the summary."""
    X = np.random.RandomState(0).randn(60, time, 1).astype(np.float32)
    X = X if time == 1 else (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
    rows = described(list(X), 2)
    assert rows.dtype == np.float32 and np.isfinite(rows).all() and len(rows) == 60


def test_equal_sequences_are_described():
    X = list(np.ones((40, 5, 2), dtype=np.float32))
    np.testing.assert_array_equal(described(X, 2), np.ones((40, 10)))


def test_clusters_are_found_again_where_there_are_any():
    rng = np.random.RandomState(0)
    rows = rng.randn(200, 3)
    assert abs(found_again(rows - rows.mean(0), 4, rng)) < 0.3
    rows += 20 * np.eye(4)[np.arange(200) % 4][:, :3]
    assert found_again(rows - rows.mean(0), 4, rng) > 0.95


class Keeping(ClusterMixin, BaseEstimator):
    """Keeps what it is given."""

    def __init__(self, seen):
        self.seen = seen

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y=None):
        self.seen.append(np.array(X))
        self.labels_ = np.arange(len(X)) % 3
        return self


@SEQUENTIAL
def test_a_clusterer_is_given_the_values_padded_with_zeros(cls, data, monkeypatch):
    monkeypatch.setattr(_start, "START_STEPS", 2)  # what it is given comes before
    monkeypatch.setattr(_start, "MAX_START_STEPS", 2)
    X, _ = data
    seen = []
    model = quick(cls, init=Keeping(seen), **BRIEF).fit(X)
    rows = padded(X) / model.scale_
    np.testing.assert_allclose(seen[0], np.nan_to_num(rows).reshape(90, -1), atol=1e-6)


@pytest.mark.parametrize(("batch_size", "steps"), [(90, 4), (30, 12)])
def test_the_start_is_learned_for_four_passes(batch_size, steps, data, monkeypatch):
    taken = []
    learn = _start.LabelLoss.forward
    monkeypatch.setattr(_start, "START_ROUND", 2)
    monkeypatch.setattr(_start, "START_AGREEMENT", 0.0)
    monkeypatch.setattr(
        _start.LabelLoss, "forward", lambda self, step: taken.append(0) or learn(self, step)
    )
    quick(init="k-means", batch_size=batch_size).fit(data[0])
    assert len(taken) == steps


def test_training_ends_when_the_labels_are_at_rest(data):
    X, _ = data
    assert quick(init="ac-mod", max_epochs=10).fit(X).n_iter_ < 5
    assert quick(init=None, max_epochs=5).fit(X).n_iter_ == 5  # as published


# -- scikit-learn's tools ------------------------------------------------------------------------


def test_lists_are_cross_validated(data):
    """By each tool with one of the two classes; it cuts the list, whose list it is."""
    X, y = data
    labels = cross_val_predict(quick(RDDC), X, cv=KFold(2))
    for part in np.array_split(np.arange(90), 2):
        assert adjusted_rand_score(y[part], labels[part]) > 0.9
    scores = cross_val_score(quick(RDTKC), X, y, cv=KFold(2), scoring="adjusted_rand_score")
    assert scores.min() > 0.9
    train, test, _, kinds = train_test_split(X, y, random_state=0)
    assert adjusted_rand_score(kinds, quick(RDDC).fit(train).predict(test)) > 0.9


@pytest.mark.parametrize("form", [list, padded], ids=["list", "array"])
def test_parameters_are_searched_over_lists(form, data):
    X, y = data
    grid = {"sigma_scale": [0.15], "lam": [0.01], "encoder__hidden_size": [4]}
    search = GridSearchCV(
        quick(RDTKC), grid, cv=2, scoring="adjusted_rand_score", error_score="raise"
    ).fit(form(X), y)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.encoder.hidden_size == 4
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.labels_)


@may_be_empty
def test_the_default_network_is_searched(data):
    search = GridSearchCV(
        quick(**BRIEF).set_params(encoder=None),
        {"encoder__hidden_size": [3, 4]},
        cv=2,
        scoring="adjusted_rand_score",
        error_score="raise",
    ).fit(*data)
    assert type(search.best_estimator_.encoder) is GRUEncoder
    assert search.best_estimator_.encoder.hidden_size in (3, 4)


@SEQUENTIAL
def test_models_of_sequences_are_stored(cls, models, data, tmp_path):
    X, _ = data
    save_model(models[cls], tmp_path / "model")
    for again in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(models[cls]))):
        np.testing.assert_array_equal(again.transform(X), models[cls].transform(X))
        assert again.sample_shape_ == (LONGEST, N_FEATURES)
        assert repr(again) == repr(models[cls])


@SEQUENTIAL
@may_be_empty
def test_warm_start_takes_other_lengths(cls, data):
    X, _ = data
    model = quick(cls, warm_start=True, **BRIEF).fit(X)
    before = model.loss_
    model.fit([x[:5] for x in X])
    assert model.labels_.shape == (90,) and model.loss_ != before
    with pytest.raises(ValueError, match="3 features per step, but .* is expecting 2 features per"):
        model.fit(np.ones((9, 5, 3)))


# What learns the start is the same for both.
@pytest.mark.parametrize(("cls", "init"), [(RDDC, "k-means"), (RDTKC, "ac-mod")])
def test_it_starts_from_clusters_of_the_sequences(cls, init, data):
    X, y = data
    model = quick(cls, n_layers=2, init=init, lr=3e-3).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.9


@SEQUENTIAL
@pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")
def test_the_default_network_takes_sequences(cls, data):
    model = cls(3, init=None, max_epochs=1, min_steps=1, random_state=0).fit(data[0][:30])
    assert model.encoder is None and model.n_components_ == 100
    assert len(model.module_.taps) == 2


@may_be_empty
def test_ddc_takes_sequences_where_its_network_does(data, briefly):
    X, _ = data
    model = quick(DDC, **BRIEF).fit(X)
    np.testing.assert_array_equal(model.coef_, briefly[RDDC].coef_)


class OwnGRU(nn.Module):
    """Gives the last state, and those of all steps as an intermediate output."""

    def __init__(self, n_features):
        super().__init__()
        self.gru = nn.GRU(n_features, 8, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))

    def forward(self, x):
        assert x.ndim == 3 and x.shape[2] == self.gru.input_size
        last = self.gru(pack(x))[1][0]
        return self.head(last), last


class MeanOfSteps(nn.Module):
    """Convolution over time, the mean of what is no padding."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(N_FEATURES, 8, 1)

    def forward(self, x):
        missing = x[..., 0].isnan()
        y = self.layer(x.masked_fill(missing.unsqueeze(2), 0.0).mT)
        return y.masked_fill(missing.unsqueeze(1), 0.0).sum(2) / (~missing).sum(1, keepdim=True)


@SEQUENTIAL
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", ["list", "array"])
@may_be_empty
def test_a_module_of_the_user_takes_sequences(cls, precision, form, data):
    X, y = data
    X = X if form == "list" else padded(X)
    model = quick(cls, OwnGRU, precision=precision).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.9
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert len(model.module_.taps) == 1 and model.n_components_ == 8
    assert len(model.predict([np.ones((3, 2)), np.ones((40, 2))])) == 2
    again = quick(cls, OwnGRU(N_FEATURES), precision=precision, **BRIEF).fit(X)
    np.testing.assert_array_equal(again.predict(X), again.labels_)
    if cls is RDTKC:
        assert len(model.history_["companion"]) == model.n_iter_


@may_be_empty
def test_a_module_of_the_user_is_pickled(data):
    X, _ = data
    model = quick(RDDC, MeanOfSteps(), **BRIEF).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@may_be_empty
def test_a_module_of_the_user_reads_flat_rows_as_numbers():
    class Look(OwnGRU):
        sample_shape = (4, 2)  # its own, and of no meaning here

        def forward(self, x):
            assert x.shape[1:] == (8, 1)
            return super().forward(x)

    rows = np.array([x[:4].T.ravel() for x in three_kinds()[0]])
    for encoder in (Look, Look(1)):
        assert quick(RDDC, encoder, **BRIEF).fit(rows).sample_shape_ == (8, 1)


@may_be_empty
def test_an_attribute_of_a_module_does_not_make_rows_sequences(blobs):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.sequential = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))

        def forward(self, x):
            return self.sequential(x)

    assert quick(DDC, Own(), **BRIEF).fit(blobs[0]).sample_shape_ == (6,)


@SEQUENTIAL
@pytest.mark.parametrize(
    ("encoder", "match"),
    [
        (MLPEncoder(), "'encoder' parameter"),
        (Autoencoder(), "'encoder' parameter"),
        (nn.Sequential(nn.Flatten(), nn.Linear(24, 2)), "encoder gives NaN for a sequence that is"),
        (nn.Linear(3, 2), r"encoder does not take samples of shape \(12, 2\)"),
    ],
    ids=["rows", "autoencoder", "padding", "features"],
)
def test_networks_that_read_no_sequences_are_refused(cls, encoder, match, data):
    with pytest.raises(ValueError, match=match):
        quick(cls, encoder, callbacks=[Refuse()]).fit(data[0])


def test_a_companion_sees_the_last_states_of_every_layer(data):
    seen = []

    class Look(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_begin(self, net, **kwargs):
            seen.append(net.criterion_.companion)

    model = quick(RDTKC, n_layers=2, companion="softmax", callbacks=[Look()]).fit(data[0])
    assert [tuple(c.weight.shape) for c in seen[0].classifiers] == [(3, 12), (3, 12)]
    assert model.history_["companion"][-1] < model.history_["companion"][0]


# -- bad input -----------------------------------------------------------------------------------


def faulty(fault):
    """The sequences as an array; the sixth has the fault."""
    X = padded(three_kinds()[0])
    X[5, 6:] = np.nan
    faults = {
        "no valid step": (slice(None), slice(None), np.nan),
        "NaN in the middle": (2, slice(None), np.nan),
        "NaN at the start": (0, slice(None), np.nan),
        "NaN in part of a step": (5, 1, np.nan),
        "infinity": (2, 0, np.inf),
    }
    step, feature, value = faults[fault]
    X[5, step, feature] = value
    return X


FAULTS = {
    "no valid step": "Sequence 5 of X has no valid step",
    "NaN in the middle": "Sequence 5 of X has NaN before its end",
    "NaN at the start": "Sequence 5 of X has NaN before its end",
    "NaN in part of a step": "Sequence 5 of X has NaN in some features of a step",
    "infinity": "infinity",
}


class Refuse(Callback):
    """Fails the test as soon as the network is trained."""

    def on_train_begin(self, net, **kwargs):
        pytest.fail("the training has started")


def refused(model, X, match):
    with pytest.raises(ValueError, match=match):
        model.fit(X) if not hasattr(model, "module_") else model.predict(X)


@SEQUENTIAL
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_sequences_are_refused(cls, fault, models, tmp_path):
    """As an array, a list, flat rows and a memory map, by fit and by predict."""
    X = faulty(fault)
    X.tofile(tmp_path / "X.dat")
    mapped = np.memmap(tmp_path / "X.dat", dtype=np.float32, mode="r", shape=X.shape)
    shaped = GRUEncoder(hidden_size=2, n_layers=1, sample_shape=X.shape[1:])
    refuse = {"callbacks": [Refuse()]}
    for form in (X, list(X), mapped):
        refused(quick(cls, **refuse), form, FAULTS[fault])
        refused(models[cls], form, FAULTS[fault])
    for form in (X.reshape(90, -1), mapped.reshape(90, -1)):
        refused(quick(cls, shaped, **refuse), form, FAULTS[fault])


@SEQUENTIAL
@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.ones((9, 5, 3)), "3 features per step, but .* is expecting 2 features per step"),
        ([np.ones((5, 3))] * 4, "3 features per step, but .* is expecting 2 features per step"),
        ([np.ones(5), np.ones(4)], "1 features per step, but .* is expecting 2 features per step"),
        ([np.ones((5, 2)), np.ones((5, 3))], r"different numbers of features: \[2, 3\]"),
        (np.ones((9, 23)), "23 columns, but .* is expecting sequences with 2 features per step"),
        (np.ones((9, 2, 3, 4)), "dim 4"),
        (np.ones((0, 5, 2)), "at least 1 sample"),
        (np.full((9, 5, 2), np.inf), "infinity"),
        (np.full((9, 5, 2), "a"), "could not convert|dtype='numeric'"),
        ([["a", "b"], ["c"]], "no array of numbers"),
        (np.ones((9, 5, 2), dtype=complex), "[Cc]omplex"),
        (np.ones(5), "2D array"),
        (None, "2D array"),
    ],
    ids=[
        "features",
        "features of a list",
        "numbers",
        "features differ",
        "columns",
        "4-D",
        "empty",
        "infinity",
        "strings",
        "list of strings",
        "complex",
        "1-D",
        "None",
    ],
)
def test_what_is_no_sequence_of_that_kind_is_refused_after_fit(cls, X, match, models):
    for method in (models[cls].predict, models[cls].transform, models[cls].score):
        with pytest.raises(ValueError, match=match):
            method(X)


@SEQUENTIAL
@pytest.mark.parametrize("shape", [(5, 5), (24,), (12, 2, 1), (-12, -2), 24, "ab"])
def test_a_shape_that_does_not_fit_is_refused(cls, shape):
    encoder = GRUEncoder(hidden_size=2, n_layers=1, sample_shape=shape)
    with pytest.raises(ValueError, match="sample_shape"):
        quick(cls, encoder, callbacks=[Refuse()]).fit(np.ones((9, 24)))


def test_rows_without_a_shape_may_hold_no_nan():
    with pytest.raises(ValueError, match="NaN"):
        quick(callbacks=[Refuse()]).fit(padded(three_kinds()[0])[:, :, 0])
