"""Processes that contenders start by `multiprocessing`: they die with whoever started them."""

from multiprocessing import parent_process

from bus.cli.demo.programs import end_with_parent


def end_with_contender() -> None:
    """Have the kernel end this process with the contender that started it."""
    if (parent := parent_process()) is not None and parent.pid is not None:
        end_with_parent(parent.pid)()
