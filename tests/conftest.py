"""Settings of the whole suite: one thread per test process (two of them share two cores), no model hub."""

import gc
import os
import signal

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

# how long an example takes says how busy the machine is; the suite runs often, and other examples each time
settings.register_profile("untimed", deadline=None, max_examples=50)
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption(
        "--all-architectures",
        action="store_true",
        help="sweep over all architectures, not the usual ones alone",
    )
    parser.addoption(
        "--all-recipes",
        action="store_true",
        help="rehearse all recipes of the paper, not a table alone",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=20,
        metavar="N",
        help="trials of a run that is killed at random moments; each takes some seconds",
    )


def pytest_collection_modifyitems(config, items):
    for option, what in (("architectures", "one of the architectures"), ("recipes", "all recipes")):
        if not config.getoption(f"--all-{option}"):
            skip = pytest.mark.skip(reason=f"{what} that --all-{option} adds")
            for item in items:
                if item.get_closest_marker(f"all_{option}"):
                    item.add_marker(skip)


def pytest_collection_finish(session):
    """What the libraries keep for good is not looked through each time that garbage is collected: a quarter of a small run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard():
    """A suite that is started by nohup, or in the background, ignores some, and so would what the tests start."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    ignored = [number for number in usual if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
