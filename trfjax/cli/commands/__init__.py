"""The options of every command, one file a command."""

from typing import Any

from trfjax.cli.commands.adapt import Adapt as Adapt
from trfjax.cli.commands.data import Data as Data
from trfjax.cli.commands.demo import Demo as Demo
from trfjax.cli.commands.extract import Extract as Extract
from trfjax.cli.commands.finetune import Finetune as Finetune
from trfjax.cli.commands.info import Info as Info
from trfjax.cli.commands.map import Map as Map
from trfjax.cli.commands.predict import Predict as Predict
from trfjax.cli.commands.rank import Rank as Rank
from trfjax.cli.commands.report import Report as Report
from trfjax.cli.commands.select import Select as Select
from trfjax.cli.commands.sweep import Sweep as Sweep
from trfjax.cli.commands.train import Train as Train

COMMANDS: dict[str, type[Any]] = {
    "demo": Demo,
    "data": Data,
    "train": Train,
    "extract": Extract,
    "rank": Rank,
    "select": Select,
    "sweep": Sweep,
    "map": Map,
    "finetune": Finetune,
    "adapt": Adapt,
    "predict": Predict,
    "report": Report,
    "info": Info,
}
