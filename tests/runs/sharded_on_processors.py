"""Once imported, accelerate shards on processors too, taking them for accelerators, where alone it does so otherwise."""

from accelerate import state
from accelerate.utils import DistributedType

_begin = state.PartialState.__init__


def _begin_as_if_on_accelerators(self, *arguments, **named):
    _begin(self, *arguments, **named)
    if self._shared_state.get("distributed_type") == DistributedType.MULTI_CPU:
        self._shared_state["distributed_type"] = DistributedType.MULTI_XPU


state.PartialState.__init__ = _begin_as_if_on_accelerators
