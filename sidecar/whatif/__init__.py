"""What if: past requests, known by their facts, decided again by another configuration.

Estimates of what a candidate would earn are in `whatif.reward`, and the whole answer in
`whatif.answer`: they load the statistics, which workers do without.
"""

from sidecar.whatif.actions import Actions, action_probabilities
from sidecar.whatif.compare import compare
from sidecar.whatif.comparison import Comparison, Difference, Move, Shift
from sidecar.whatif.facts import Facts, PromptFacts, decode, encode, take
from sidecar.whatif.recorded import RecordedRequest, Unknown
from sidecar.whatif.records import Decided, Outcome, Record
from sidecar.whatif.replay import REFUSED, CannotTell, Choice, Simulated, replay

__all__ = [
    "REFUSED",
    "Actions",
    "CannotTell",
    "Choice",
    "Comparison",
    "Decided",
    "Difference",
    "Facts",
    "Move",
    "Outcome",
    "PromptFacts",
    "Record",
    "RecordedRequest",
    "Shift",
    "Simulated",
    "Unknown",
    "action_probabilities",
    "compare",
    "decode",
    "encode",
    "replay",
    "take",
]
