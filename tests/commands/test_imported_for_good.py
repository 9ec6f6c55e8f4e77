"""What a command imports for good is not looked through for garbage."""

import gc

import pytest

from kdzoo.commands.imported_for_good import imported_for_good


@pytest.fixture(autouse=True)
def _as_before():
    yield
    gc.enable()


def test_nothing_is_collected_while_it_is_imported_and_what_it_made_is_not_looked_at_later():
    with imported_for_good():
        assert not gc.isenabled()
        kept = [[] for _ in range(1000)]
    assert gc.isenabled()
    looked_at = {id(one) for one in gc.get_objects()}
    assert not looked_at & {id(one) for one in kept}
    later = []
    assert id(later) in {id(one) for one in gc.get_objects()}


def test_garbage_of_later_is_collected():
    with imported_for_good():
        pass
    loop = []
    loop.append(loop)
    del loop
    assert gc.collect() > 0


def test_an_import_that_fails_leaves_it_as_it_was():
    with pytest.raises(ImportError), imported_for_good():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with imported_for_good():
        pass
    assert not gc.isenabled()
