"""Which boards there are, and the files that they stand in."""

from pathlib import Path
from typing import Final

from deploy.grafana.api import API
from deploy.grafana.mail import MAIL
from deploy.grafana.panels import Board
from deploy.grafana.pipeline import PIPELINE
from deploy.grafana.programs import PROGRAMS
from deploy.grafana.webhook import WEBHOOK

FILES: Final[dict[Path, Board]] = {
    Path(__file__).with_name(f"{board.name}.json"): board
    for board in (PIPELINE, WEBHOOK, API, MAIL, PROGRAMS)
}
