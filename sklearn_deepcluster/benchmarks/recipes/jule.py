"""JULE with and without clustering the embedding anew."""

from sklearn_deepcluster.benchmarks.recipes import Published, Recipe

_SOURCE = "JULE paper"


def _published(**results):
    names = {"mnist_test": "mnist-test", "cmu_pie": "cmu-pie"}
    notes = {"usps": ", 11,000 images"}
    return {
        names.get(name, name): [Published(_SOURCE + notes.get(name, ""), *scores, "geometric")]
        for name, scores in results.items()
    }


RECIPES = [
    Recipe(
        "jule",
        "JULE",
        "JULE",
        slot="encoder",
        form="images",
    ),
    Recipe(
        "jule-sf",
        "JULE-SF",
        "JULE",
        slot="encoder",
        form="images",
        default={"recluster": None},
        published=_published(
            mnist_test=(0.940, 0.876),
            usps=(0.922, 0.858),
            coil20=(None, 1.0),
            cmu_pie=(0.980, 0.984),
        ),
    ),
    Recipe(
        "jule-rc",
        "JULE-RC",
        "JULE",
        slot="encoder",
        form="images",
        default={"recluster": "degree"},
        published=_published(mnist_test=(0.961, 0.915), usps=(0.950, 0.913), cmu_pie=(1.0, 1.0)),
    ),
]
