import os
from threading import Event, Thread

import pytest
import torch
from threadpoolctl import threadpool_info

from trajinfer._core import threads
from trajinfer._core.errors import InputError
from trajinfer._core.threads import torch_threads


@pytest.mark.parametrize(("n_jobs", "expected"), [(2, 2), (-1, os.cpu_count()), (None, 1)])
def test_threads_are_set_for_the_block_only(n_jobs, expected):
    with torch_threads(n_jobs):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 1


def test_threads_are_put_back_after_an_error():
    with pytest.raises(RuntimeError), torch_threads(2):
        torch.ones(1) @ torch.ones(2)
    assert torch.get_num_threads() == 1


def test_blocks_that_overlap_put_back_what_the_first_found():
    """The second begins within the first and ends after it; a later thread begins with the same."""
    first_begun, second_begun, first_ended = Event(), Event(), Event()
    found = []

    def second():
        first_begun.wait(timeout=30)
        with torch_threads(1):
            second_begun.set()
            first_ended.wait(timeout=30)

    torch.set_num_threads(2)
    try:
        thread = Thread(target=second)
        thread.start()
        with torch_threads(1):
            first_begun.set()
            second_begun.wait(timeout=30)
        first_ended.set()
        thread.join()
        later = Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert [torch.get_num_threads(), *found] == [2, 2]
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, True])
def test_bad_numbers_of_threads(n_jobs):
    with pytest.raises(InputError, match="n_jobs must be None, -1 or a positive integer"):
        torch_threads(n_jobs).__enter__()


def test_one_thread_searches_the_libraries_once_and_puts_them_back():
    """A search takes as long as a small fit."""
    with threads.one_thread():
        pass
    searches = threads._controller.cache_info().misses
    before = [pool["num_threads"] for pool in threadpool_info()]
    for _ in range(5):
        with threads.one_thread():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert threads._controller.cache_info().misses == searches
    assert [pool["num_threads"] for pool in threadpool_info()] == before
