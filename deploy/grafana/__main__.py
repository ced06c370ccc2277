"""`python -m deploy.grafana`: writes the boards to their files."""

from deploy.grafana.files import FILES
from deploy.grafana.panels import written

for path, board in FILES.items():
    path.write_text(written(board))
    print(f"{path.name}: {len(list(board.panels))} panels")
