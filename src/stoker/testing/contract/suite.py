"""The whole contract in one class."""

from __future__ import annotations

from stoker.testing.contract.batch import BatchContract
from stoker.testing.contract.claim import ClaimContract
from stoker.testing.contract.control import ControlContract
from stoker.testing.contract.coordinate import LeadContract, PresenceContract
from stoker.testing.contract.crash import CrashContract
from stoker.testing.contract.due import DueContract
from stoker.testing.contract.ending import EndingContract, StopContract
from stoker.testing.contract.enqueue import EnqueueContract
from stoker.testing.contract.expiring import ExpiryContract
from stoker.testing.contract.finding import AnyContract, CountContract, FindContract
from stoker.testing.contract.joining import JoiningContract
from stoker.testing.contract.keeping import KeepingContract
from stoker.testing.contract.lease import LeaseContract
from stoker.testing.contract.limit_races import LimitRaceContract
from stoker.testing.contract.limits import GateContract, GatedControlContract, RateContract, SequenceContract
from stoker.testing.contract.lines import LinesContract
from stoker.testing.contract.model import ModelContract
from stoker.testing.contract.moving import HoldContract, ReceiveContract
from stoker.testing.contract.moving_races import MovingRaceContract
from stoker.testing.contract.note import NoteContract
from stoker.testing.contract.overrides import OverrideContract
from stoker.testing.contract.periodic import PauseEntryContract, RegisterContract, RemoveEntryContract, TickContract
from stoker.testing.contract.races import ProcessRaceContract, ThreadRaceContract
from stoker.testing.contract.refusals import HandleContract, RefusalContract
from stoker.testing.contract.replaying import ReplayContract
from stoker.testing.contract.resend import ResendContract
from stoker.testing.contract.routing import OldestContract, RoutingContract
from stoker.testing.contract.settle import SettleContract
from stoker.testing.contract.then import ThenContract
from stoker.testing.contract.transitions import TransitionContract
from stoker.testing.contract.unique import UniqueContract
from stoker.testing.contract.unique_conflict import ConflictContract, ReturnContract
from stoker.testing.contract.wake_up import WakeUpContract


class StoreContract(
    EnqueueContract,
    ClaimContract,
    RoutingContract,
    OldestContract,
    LeaseContract,
    CrashContract,
    SettleContract,
    EndingContract,
    StopContract,
    ThenContract,
    BatchContract,
    DueContract,
    KeepingContract,
    ExpiryContract,
    ReplayContract,
    HoldContract,
    ReceiveContract,
    MovingRaceContract,
    JoiningContract,
    UniqueContract,
    ConflictContract,
    ReturnContract,
    GateContract,
    GatedControlContract,
    RateContract,
    SequenceContract,
    LimitRaceContract,
    OverrideContract,
    ControlContract,
    FindContract,
    CountContract,
    AnyContract,
    LeadContract,
    PresenceContract,
    RegisterContract,
    TickContract,
    PauseEntryContract,
    RemoveEntryContract,
    LinesContract,
    NoteContract,
    WakeUpContract,
    TransitionContract,
    ModelContract,
    ResendContract,
    RefusalContract,
    HandleContract,
    ThreadRaceContract,
    ProcessRaceContract,
):
    """Everything that a store promises; subclass it next to a fixture ``place``."""
