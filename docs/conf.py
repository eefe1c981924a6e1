"""How Sphinx builds this site: see "Documentation" in CONTRIBUTING.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.util import logging

import trainviz

sys.path.insert(0, str(Path(__file__).parent))
from check_site import broken_links, foreign_files
from pages import make, pages

# Keras picks its backend when an example first imports it.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

HERE = Path(__file__).parent

project = "trainviz"
author = "The trainviz developers"
copyright = "2026, the trainviz developers"
version = release = trainviz.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["gallery/**/*.ipynb", "gallery/**/*.py", "gallery/**/*.zip"]
templates_path = ["_templates"]

# Pages name classes and arguments in backticks; a role would be a second notation.
default_role = "code"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
# Two names that differ in case alone would be one file on some systems.
autosummary_filename_map = {
    f"trainviz.{name}": f"trainviz.{name}-class" for name in ("Dynamics", "Kymograph")
}
autodoc_typehints = "none"  # numpydoc's parameters state them, with shapes and units
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": "plot_",
    "subsection_order": [
        f"../examples/gallery/{group}"
        for group in (
            "frameworks",
            "estimators",
            "training",
            "generalisation",
            "inputs_outputs",
            "measures",
        )
    ],
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_", "__repr__"),
    # Films and stills are shown by the scraper instead.
    "image_scrapers": ("gallery_scraper.scrape",),
    "ignore_repr_types": r"\.(Animation|Comparison|ShownFigure)'",
    "remove_config_comments": True,
    "show_memory": False,
    # These two make pages that are of no use to readers, or that ask for files of a CDN.
    "write_computation_times": False,
    "show_signature": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "trainviz"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js", "gallery.js"]
html_sidebars = {"index": []}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def has_pictures(config):
    """Return whether code is run, which ``-D plot_gallery=0`` turns off."""
    return str(config.plot_gallery) not in ("0", "False")


def make_pictures(app, config):
    """Make the front page's player, and run the pages' code if the gallery's is run."""
    from make_front_page import make_player

    make_player()
    if not has_pictures(config):
        config.suppress_warnings.append("image.not_readable")
        # Examples that are not run now have no pictures, so that the next build runs them.
        for stamp in (HERE / "gallery").rglob("*.md5"):
            stamp.unlink()
        return
    for page in pages():
        make(page)


def check(app, error):
    """Warn, and so fail, where a page links to nothing or needs a network."""
    if error is None and app.builder.format == "html":
        for problem in (*broken_links(Path(app.outdir)), *foreign_files(Path(app.outdir))):
            # What the pages' code makes is not there if it was not run.
            if has_pictures(app.config) or "_static/made/" not in problem:
                logging.getLogger(__name__).warning(problem)


def setup(app):
    """Tell Sphinx what is done before pages are read and after they were written."""
    app.connect("config-inited", make_pictures)
    app.connect("build-finished", check)
