"""Which class of a project is the background, if any: in old projects the first of the class bar"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("background", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE projects SET background = ("
        "SELECT class_id FROM classes WHERE classes.project_id = projects.id AND classes.removed_at IS NULL "
        "ORDER BY place, class_id LIMIT 1)"
    )
