"""scikit-learn's own checks pass, and none is missing."""

import os
import warnings
from unittest import SkipTest

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from tests._instances import (
    DENSE_ONLY,
    END_TO_END,
    ESTIMATORS,
    EVERY_CLUSTERER,
    PUBLIC,
    WEIGHTED,
    accepts,
    least,
    prefix_of,
    tiny,
)
from tests.common._shared import every_public

# What scikit-learn 1.9 runs. A tag with another value would silently drop some of these.
CHECKS = {
    "check_complex_data",
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_f_contiguous_array_estimator",
    "check_fit1d",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_mixin_order",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_set_params",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformer_n_iter",
    "check_transformer_preserve_dtypes",
    "check_transformers_unfitted",
    "check_valid_tag_types",
}


# Of estimators whose `fit` takes `sample_weight`.
WEIGHT_CHECKS = {
    "check_all_zero_sample_weights_error",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
}

# Expected to fail, as they do for scikit-learn's own KMeans: more rows draw other random numbers,
# and make other batches, than the same rows with weights. `test_weights.py` asks for it instead
# where the clusters do not depend on chance, and of each objective exactly.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}

# Here scikit-learn takes all that have predict_proba for classifiers, and asks for their tags.
SPARSE_CHECKS = {"check_estimator_sparse_array", "check_estimator_sparse_matrix"}
CLUSTERER_CHECKS = {"check_clusterer_compute_labels_predict", "check_clustering"}


def run_some_checks(estimator, names):
    """Run those of scikit-learn's checks; return the names of all that there are."""
    tried = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for instance, check in estimator_checks_generator(estimator):
            if (name := check.func.__name__) in names:
                tried.add(name)
                check(instance)
    return tried


def run_checks(estimator, but=()):
    """Run scikit-learn's checks, `but` some; return the names of those that passed."""
    passed, skipped, bad = set(), set(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for instance, check in estimator_checks_generator(estimator):
            if (name := check.func.__name__) in but:
                continue
            try:
                check(instance)
                passed.add(name)
            except SkipTest:
                skipped.add(name)
            except Exception as error:
                bad.append(f"{name}: {error!r}")
    assert not bad, "\n".join(bad)
    allowed = set() if os.environ.get("SCIPY_ARRAY_API") == "1" else {"check_array_api_input"}
    assert skipped <= allowed
    return passed


def not_for_clusterers(estimator):
    """The checks that ask what has predict_proba for the tags of a classifier."""
    takes_sparse = get_tags(estimator).input_tags.sparse
    return SPARSE_CHECKS if takes_sparse and hasattr(estimator, "predict_proba") else set()


def run_up_to_the_tags(estimator, names):
    """Run these checks; return the names of those that fail by that question, the last, alone."""
    reached = set()
    for instance, check in estimator_checks_generator(estimator):
        if (name := check.func.__name__) in names:
            with pytest.raises(AssertionError) as failure:
                check(instance)
            assert (
                str(failure.value.__cause__) == "'NoneType' object has no attribute 'multi_class'"
            )
            reached.add(name)
    return reached


@every_public
def test_scikit_learns_checks_pass_and_none_is_missing(name):
    expected = CHECKS | (CLUSTERER_CHECKS if name in EVERY_CLUSTERER else set())
    expected |= WEIGHT_CHECKS if name in WEIGHTED else set()
    if not hasattr(PUBLIC[name], "transform"):
        expected = {check for check in expected if "transformer" not in check}
    seed = {"random_state": None} if name in ESTIMATORS else {}
    # From random weights clusters take more than the fewest steps.
    learning = {"check_clustering"} if name in END_TO_END else set()
    classifiers = not_for_clusterers(least(name))
    # The checks have few rows: one step, where there are two in `least`.
    slots = ("min_steps", f"{prefix_of(name)}min_steps") if name in ESTIMATORS else ()
    one = {key: 1 for key in slots if accepts(name, key)}
    passed = run_checks(least(name, **seed, **one), but=learning | classifiers | EXPECTED_FAILURES)
    passed |= run_some_checks(tiny(name, **seed), learning)
    passed |= run_up_to_the_tags(least(name, **seed), classifiers)
    assert expected - passed == set()


# What depends on the network: few rows and columns, kinds of numbers, whether it learns.
CHECKS_OF_NETWORKS = {
    "check_clustering",
    "check_estimators_dtypes",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_methods_subset_invariance",
}


# One with each default network; that of IMSAT is wide.
@pytest.mark.parametrize(
    ("name", "params"),
    [("DDC", {}), ("RDDC", {}), ("IMSAT", {"encoder__hidden_layer_sizes": (100, 100)})],
)
def test_scikit_learns_checks_of_networks_pass_with_the_default_one(name, params):
    """From random weights, in few steps: with the defaults it takes minutes."""
    estimator = PUBLIC[name](init=None, max_epochs=2, min_steps=16).set_params(**params)
    assert run_some_checks(estimator, CHECKS_OF_NETWORKS) == CHECKS_OF_NETWORKS


def test_scikit_learns_checks_pass_from_the_start_that_is_chosen():
    assert run_some_checks(least("DEPICT", init="auto"), CHECKS_OF_NETWORKS) == CHECKS_OF_NETWORKS


@pytest.mark.slow
@every_public
def test_scikit_learns_checks_pass_with_default_parameters(name):
    estimator = PUBLIC[name]()
    run_checks(estimator, but=not_for_clusterers(estimator) | EXPECTED_FAILURES)


@every_public
def test_tags_drop_no_check(name):
    tags = get_tags(tiny(name))
    assert tags.input_tags.two_d_array
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.input_tags.allow_nan
    assert tags.input_tags.sparse == (name not in DENSE_ONLY)
    if name in ESTIMATORS:
        assert tags.transformer_tags.preserves_dtype == ["float32"]
    assert tags.estimator_type == ("clusterer" if name in EVERY_CLUSTERER else None)
