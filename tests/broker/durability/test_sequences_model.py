"""A producer's window against a list: each batch is stored once and in order, come what may.

The producer keeps up to five batches under way, as clients do; the network delivers them late,
twice, in any order or not at all, and answers get lost.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kio.schema.errors import ErrorCode

from bus.broker.sequences import REMEMBERED, Producer, Written, judge

NUMBERS = 2**31
NEAR_THE_END = NUMBERS - 20


class WindowModel(RuleBasedStateMachine):
    """One producer, one partition, and a network between them."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Producer | None = None
        self.epoch = 0
        self.log: list[tuple[int, int, int]] = []  # epoch, first, count, as stored
        self.end = 0
        self.under_way: list[tuple[int, int, int]] = []
        self.sent: list[tuple[int, int, int]] = []
        self.next = 0
        self.offsets: dict[tuple[int, int, int], int] = {}

    @initialize(first=st.sampled_from([0, 7, NEAR_THE_END]))
    def begin(self, first: int) -> None:
        """A producer that the broker does not know may begin anywhere."""
        self.next = first
        self.send(1)
        self.deliver_oldest()

    @precondition(lambda self: len(self.under_way) < REMEMBERED)
    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        """The producer sends its next batch."""
        batch = (self.epoch, self.next, count)
        self.next = (self.next + count) % NUMBERS
        self.under_way.append(batch)
        self.sent.append(batch)

    @precondition(lambda self: self.under_way)
    @rule()
    def deliver_oldest(self) -> None:
        """The batch whose turn it is arrives: it is stored, or was; and the producer is told."""
        batch = self.under_way.pop(0)
        assert self._arrives(batch) == self.offsets[batch]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def deliver_any_and_lose_the_answer(self, data: st.DataObject) -> None:
        """One of those under way arrives, in turn or not; the producer will send it again."""
        batch = data.draw(st.sampled_from(self.under_way))
        told = self._arrives(batch)
        if isinstance(told, ErrorCode):
            assert told is ErrorCode.out_of_order_sequence_number
            assert batch not in self.log
        else:
            assert told == self.offsets[batch]

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def deliver_an_old_one(self, data: st.DataObject) -> None:
        """A batch of long ago comes once more: it is never stored again."""
        batch = data.draw(st.sampled_from(self.log) | st.sampled_from(self.log[-REMEMBERED - 1 :]))
        before = len(self.log)
        told = self._arrives(batch)
        assert len(self.log) == before
        if batch in self.log[-REMEMBERED:] and batch[0] == self.epoch:
            assert told == self.offsets[batch]
        assert isinstance(told, ErrorCode) or told == self.offsets[batch]

    @precondition(lambda self: len(self.log) > 2 * REMEMBERED * (self.epoch + 1))
    @rule()
    def restart(self) -> None:
        """The producer gets a new epoch: it begins at 0, and those before it are fenced."""
        self.epoch += 1
        self.next, self.under_way = 0, []
        self.send(2)
        self.deliver_oldest()

    @rule()
    def broker_restarts(self) -> None:
        """What is known of the producer comes from what was stored of it."""
        if self.state is not None:
            self.state = Producer.from_bytes(self.state.epoch, self.state.to_bytes())

    @invariant()
    def each_batch_is_there_once_and_in_order(self) -> None:
        """The log holds what was sent, without repeats or gaps within an epoch."""
        assert len(set(self.log)) == len(self.log)
        for epoch in {of for of, _, _ in self.log}:
            mine = [batch for batch in self.log if batch[0] == epoch]
            assert mine == [batch for batch in self.sent if batch[0] == epoch][: len(mine)]

    def _arrives(self, batch: tuple[int, int, int]) -> int | ErrorCode:
        epoch, first, count = batch
        verdict = judge(self.state, epoch=epoch, first=first, count=count, offset=self.end)
        if isinstance(verdict, Written):
            return verdict.offset
        if isinstance(verdict, ErrorCode):
            return verdict
        self.state = verdict
        self.log.append(batch)
        self.offsets[batch] = self.end
        self.end += count
        return self.offsets[batch]


WindowModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestWindowModel = WindowModel.TestCase
