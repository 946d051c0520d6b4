"""Docstrings of estimators: what a base class describes is not written again.

A class describes what is special to it. When it is made, its docstring is completed: by the
parameters of its signature, in that order, and by the attributes that its bases describe.
"""

import inspect
import re

_HEADING = re.compile(r"^(\S[^\n]*)\n-{3,}$", re.MULTILINE)
# Stands, alone in a line, for what the base class says.
INHERITED = "..."


def complete_docstring(cls):
    """Fill in what the docstring of an estimator leaves to its bases.

    Parameters
    ----------
    cls : type

    Raises
    ------
    TypeError
        If neither a public class of this package nor one of its bases describes a parameter.
    """
    doc = vars(cls).get("__doc__")
    if not doc:
        return
    summary, sections = split_sections(doc)
    described, cls._described = {}, {}
    for title in ("Parameters", "Attributes"):
        inherited = {}
        for base in reversed(_bases(cls)):
            inherited |= base._described[title]
        own = split_entries(sections.pop(title, ""))
        own = {name: _filled(entry, inherited.get(name)) for name, entry in own.items()}
        cls._described[title], described[title] = own, inherited | own
    if not is_public(cls):
        return
    parameters = {
        name: _with_default(described["Parameters"].get(name), name, parameter.default, cls)
        for name, parameter in inspect.signature(cls).parameters.items()
    }
    attributes = _in_order(described["Attributes"])
    texts = {"Parameters": _joined(parameters), "Attributes": _joined(attributes), **sections}
    parts = [f"{title}\n{'-' * len(title)}\n{text}" for title, text in texts.items() if text]
    cls.__doc__ = "\n\n".join([summary, *parts]) + "\n"


def is_public(cls):
    """Whether a class belongs to this package, and is not a base of others."""
    package = __name__.partition(".")[0]
    return cls.__module__.partition(".")[0] == package and not cls.__name__.startswith(
        ("_", "Base", "Torch")
    )


def _bases(cls):
    """Base classes that describe something, the nearest first."""
    return [base for base in cls.__mro__[1:] if "_described" in vars(base)]


def split_sections(doc):
    """Split a docstring into what comes before the first section, and title -> text."""
    parts = _HEADING.split(inspect.cleandoc(doc))
    titles, texts = parts[1::2], (text.strip("\n") for text in parts[2::2])
    return parts[0].rstrip(), dict(zip(titles, texts, strict=True))


def split_entries(text):
    """Split a section of names with descriptions into name -> (type, description)."""
    entries = {}
    for block in re.split(r"\n+(?=\S)", text) if text else ():
        header, _, description = block.partition("\n")
        name, _, kind = header.partition(" :")
        entries[name.strip()] = " ".join(kind.split()), description.rstrip()
    return entries


def _filled(entry, inherited):
    """An entry with what the base class says in the place of `INHERITED`."""
    kind, description = entry
    if inherited is None:
        return entry
    lines = description.splitlines()
    lines = [inherited[1] if line.strip() == INHERITED else line for line in lines]
    return kind or inherited[0], "\n".join(lines)


def _with_default(entry, name, default, cls):
    """The entry of a parameter, with the default of the signature."""
    if entry is None:
        raise TypeError(f"{cls.__name__}: no docstring describes the parameter {name!r}.")
    if default is inspect.Parameter.empty:
        return entry
    shown = f'"{default}"' if isinstance(default, str) else _number(default)
    return f"{entry[0].partition(', default=')[0]}, default={shown}", entry[1]


def _number(value):
    """A default as one writes it: 1e-3 rather than 0.001."""
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return repr(value)


def _in_order(attributes):
    """What a method adds stands before the network."""
    added = [name for name in attributes if name not in _LAST]
    last = [name for name in _LAST if name in attributes]
    return {name: attributes[name] for name in [*added, *last]}


# Attributes of every network, in the order of the docstring of the base.
_LAST = (
    "module_",
    "history_",
    "loss_",
    "n_iter_",
    "kept_epoch_",
    "center_",
    "scale_",
    "inertia_",
    "embedding_variance_",
    "n_components_",
    "sample_shape_",
    "n_features_in_",
    "n_samples_fit_",
    "feature_names_in_",
)


def _joined(entries):
    blocks = [f"{name} : {kind}\n{text}" for name, (kind, text) in entries.items()]
    return "\n\n".join(blocks)
