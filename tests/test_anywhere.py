"""The runs of ``make test-anywhere`` are few, and every two settings meet in one of them."""

import itertools

import pytest

from tests import anywhere


def test_every_pair_of_values_meets_in_some_run():
    assert len(anywhere.RUNS) <= 8
    for a, b in itertools.combinations(range(len(anywhere.FACTORS)), 2):
        met = {(run[a], run[b]) for run in anywhere.RUNS}
        wanted = set(itertools.product(anywhere.LEVELS[a], anywhere.LEVELS[b]))
        assert met == wanted, (anywhere.FACTORS[a], anywhere.FACTORS[b])


def test_every_value_is_tried_twice_at_least():
    for i, levels in enumerate(anywhere.LEVELS):
        assert len(levels) >= 2
        assert all(sum(run[i] == level for run in anywhere.RUNS) >= 2 for level in levels)


def test_a_run_has_its_settings_and_no_others(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    run = ("bfloat16", "all", 2, 1, "shuffled")
    settings = anywhere.environment(run)
    assert "ATEN_CPU_CAPABILITY" not in settings
    assert settings["SKLEARN_DEEPCLUSTER_PRECISION"] == "bfloat16"
    assert settings["OMP_NUM_THREADS"] == "2"
    assert anywhere.arguments(run, 7)[-1] == "--random-order-seed=7"


@pytest.mark.parametrize(("code", "word"), [("assert True", "green"), ("assert False", "red")])
def test_a_red_run_is_said_and_is_the_exit_status(code, word, tmp_path, capsys):
    test = tmp_path / "test_it.py"
    test.write_text(f"def test_it():\n    {code}\n")
    more = [str(test), "-p", "no:cacheprovider"]
    status = anywhere.main(["--only", "0", "--logs", str(tmp_path / "logs"), *more])
    assert status == (word == "red")
    assert f"order as written: {word}" in capsys.readouterr().out


@pytest.mark.parametrize(("here", "asked"), [("AVX2", False), ("AVX512", True)])
def test_a_processor_is_not_asked_for_what_it_lacks(monkeypatch, here, asked):
    monkeypatch.setattr(anywhere.torch.backends.cpu, "get_cpu_capability", lambda: here)
    run = next(run for run in anywhere.RUNS if run[1] == "avx512")
    assert ("ATEN_CPU_CAPABILITY" in anywhere.environment(run)) == asked
    assert anywhere.lacks("avx512") != asked and not anywhere.lacks("avx2")
