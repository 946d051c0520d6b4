"""IDEC keeps its decoder; DCEC is IDEC with a convolutional autoencoder."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster import DCEC, DEC, IDEC, ConvAutoencoder

QUICK = {
    "max_epochs": 6,
    "min_steps": 0,
    "update_interval": 5,
    "tol": 0.0,
    "drift_tol": None,
    "batch_size": 30,
    "lr": 2e-3,
    "precision": "float32",
    "random_state": 0,
}


def quick(frozen, **params):
    return IDEC(3, **(QUICK | {"autoencoder": frozen} | params))


def test_history_holds_both_terms_and_their_weighted_sum(frozen, blobs):
    idec = quick(frozen, gamma=0.3).fit(blobs[0])
    assert set(idec.history_) == {
        "loss",
        "kl",
        "reconstruction",
        "label_change",
        "pretraining_loss",
    }
    kl, error = np.array(idec.history_["kl"]), np.array(idec.history_["reconstruction"])
    np.testing.assert_allclose(idec.history_["loss"], 0.3 * kl + error, rtol=1e-5)
    assert len(kl) == len(error) == idec.n_iter_ == 6
    assert len(idec.history_["label_change"]) == 5


def test_centres_decode_to_prototypes_in_the_units_of_the_data(frozen, blobs):
    X, y = blobs
    idec = quick(frozen).fit(X)
    prototypes = idec.inverse_transform(idec.cluster_centers_)
    assert prototypes.shape == (3, 6) and prototypes.dtype == np.float32
    for j, prototype in enumerate(prototypes):
        members = X[idec.labels_ == j]
        to_own = np.linalg.norm(prototype - members.mean(0))
        spread = np.linalg.norm(members - members.mean(0), axis=1).mean()
        assert to_own < spread


def test_the_decoder_is_trained_and_holds_the_reconstruction(frozen, blobs):
    X, _ = blobs
    before = frozen.estimator.module_.decoder.state_dict()
    params = {"max_epochs": 30, "lr": 1e-2, "update_interval": 30}
    idec = quick(frozen, gamma=0.1, **params).fit(X)
    after = idec.module_.decoder.state_dict()
    assert any(not np.allclose(after[name], before[name]) for name in before)
    assert idec.history_["reconstruction"][-1] < 1.1 * frozen.estimator.loss_


def test_gamma_zero_is_the_plain_autoencoder(frozen, blobs, spy):
    X, _ = blobs
    idec = quick(frozen, gamma=0.0, callbacks=[spy]).fit(X)
    assert idec.loss_ == idec.history_["reconstruction"][-1]
    np.testing.assert_array_equal(idec.cluster_centers_, spy.rounds[0]["centers"])


def test_a_larger_gamma_gives_tighter_clusters(frozen, blobs):
    X, _ = blobs
    scores = [
        quick(frozen, gamma=gamma, max_epochs=20, lr=5e-3).fit(X).score(X)
        for gamma in (0.0, 0.1, 10.0)
    ]
    assert scores[0] < scores[1] < scores[2]


def test_without_the_reconstruction_it_would_be_dec(frozen, blobs):
    """With a huge gamma the reconstruction counts for nothing: SGD makes DEC's steps."""
    X, _ = blobs
    params = QUICK | {"autoencoder": frozen, "optimizer": "sgd", "momentum": 0.0}
    dec = DEC(3, **params | {"lr": 0.05}).fit(X)
    idec = IDEC(3, gamma=1e6, **params | {"lr": 0.05 / 1e6}).fit(X)
    np.testing.assert_allclose(idec.cluster_centers_, dec.cluster_centers_, atol=1e-4)
    np.testing.assert_allclose(idec.transform(X), dec.transform(X), atol=1e-3)
    np.testing.assert_allclose(idec.history_["kl"], dec.history_["kl"], rtol=1e-3)


@pytest.mark.parametrize("kind", ["masking", "dropout"])
def test_inputs_are_not_corrupted_in_the_clustering_phase(unfitted, blobs, spy, kind):
    X, _ = blobs
    unfitted.set_params(noise=0.5, noise_kind=kind)
    idec = quick(unfitted, callbacks=[spy], lr=1e-12, max_epochs=1).fit(X)
    assert len(spy.corruptions) == 5 and set(spy.corruptions) == {None}
    # Nothing moves at this step size: the recorded error is that of the clean data.
    back = idec.inverse_transform(idec.transform(X))
    clean = np.mean(np.square(back - X, dtype=np.float64)) / idec.scale_**2
    assert idec.history_["reconstruction"] == pytest.approx([clean], rel=1e-4)
    assert clean < idec.history_["pretraining_loss"][-1]


# --- DCEC


@pytest.fixture(scope="module")
def conv():
    return ConvAutoencoder(
        filters=(4, 6),
        kernel_sizes=(3, 3),
        n_components=4,
        max_epochs=4,
        min_steps=0,
        batch_size=64,
        lr=5e-3,
    )


@pytest.fixture(scope="module")
def images(small_digits):
    return small_digits[0].reshape(-1, 8, 8)


def test_dcec_is_idec_with_the_convolutional_autoencoder(conv, images):
    dcec, idec = (
        cls(5, **(QUICK | {"autoencoder": conv, "max_epochs": 2})).fit(images)
        for cls in (DCEC, IDEC)
    )
    np.testing.assert_array_equal(dcec.labels_, idec.labels_)
    np.testing.assert_array_equal(dcec.cluster_centers_, idec.cluster_centers_)
    np.testing.assert_array_equal(dcec.transform(images), idec.transform(images))
    assert dcec.history_ == idec.history_


def test_dcecs_default_representation_is_convolutional_and_can_be_searched():
    assert isinstance(DCEC()._default_network(None), ConvAutoencoder)
    dcec = DCEC().set_params(autoencoder__filters=(3,))
    assert isinstance(dcec.autoencoder, ConvAutoencoder) and dcec.autoencoder.filters == (3,)


def test_dcec_draws_its_prototypes_as_images(conv, images):
    fitted = FrozenEstimator(conv.set_params(random_state=0).fit(images))
    dcec = DCEC(5, **(QUICK | {"autoencoder": fitted, "max_epochs": 1})).fit(images)
    assert dcec.inverse_transform(dcec.cluster_centers_).shape == (5, 8, 8)
    flat = images.reshape(len(images), -1)
    np.testing.assert_array_equal(dcec.predict(flat), dcec.labels_)
