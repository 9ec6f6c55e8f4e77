"""Settings of the whole suite: one thread per test process (two of them share two cores), no model hub."""

import os

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
# what `kdzoo run` sets before it imports the libraries, which may be imported already here
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

# how long an example takes says how busy the machine is
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption(
        "--all-architectures",
        action="store_true",
        help="sweep over all architectures, not the usual ones alone",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--all-architectures"):
        return
    skip = pytest.mark.skip(reason="one of the architectures that --all-architectures adds")
    for item in items:
        if item.get_closest_marker("all_architectures"):
            item.add_marker(skip)
