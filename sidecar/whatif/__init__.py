"""What if: past requests, known by their facts, decided again by another configuration."""

from sidecar.whatif.actions import Actions, action_probabilities
from sidecar.whatif.answer import WhatIf, sentence
from sidecar.whatif.compare import compare
from sidecar.whatif.comparison import Comparison, Difference, Move, Shift
from sidecar.whatif.facts import Facts, PromptFacts, decode, encode, take
from sidecar.whatif.recorded import RecordedRequest, Unknown
from sidecar.whatif.records import Decided, Outcome, Record
from sidecar.whatif.replay import REFUSED, CannotTell, Choice, Simulated, replay
from sidecar.whatif.reward import BUILT_IN, Estimates, estimate

__all__ = [
    "BUILT_IN",
    "REFUSED",
    "Actions",
    "CannotTell",
    "Choice",
    "Comparison",
    "Decided",
    "Difference",
    "Estimates",
    "Facts",
    "Move",
    "Outcome",
    "PromptFacts",
    "Record",
    "RecordedRequest",
    "Shift",
    "Simulated",
    "Unknown",
    "WhatIf",
    "action_probabilities",
    "compare",
    "decode",
    "encode",
    "estimate",
    "replay",
    "sentence",
    "take",
]
