"""Sphinx configuration."""

import os
import sys
from pathlib import Path

# Gallery scripts and autodoc: no display, and no threads that spin beside other processes.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import sklearn_deepcluster  # noqa: E402

project = "sklearn_deepcluster"
author = "the sklearn_deepcluster developers"
copyright = author  # noqa: A001
release = version = sklearn_deepcluster.__version__

extensions = [
    "generated_pages",  # ours: API lists, table of estimators, reproduction tables
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "generated/*.inc", "**.ipynb"]
default_role = None
nitpicky = False

autosummary_generate = True
autosummary_imported_members = False
autodoc_default_options = {"show-inheritance": False}
autodoc_typehints = "none"
# The class template lists the methods that are defined in this package; scikit-learn's own
# (set_params, metadata routing ...) are documented there, with links that lead nowhere here.
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "reset_modules": ("matplotlib",),
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_theme_options = {
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"install": [], "changelog": [], "reproduction": []}
html_copy_source = False
html_show_sourcelink = False
