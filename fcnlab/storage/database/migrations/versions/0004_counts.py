"""Projects that count, and images whose objects are all marked"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("task", sa.String(), nullable=False, server_default="masks"))
    op.add_column("images", sa.Column("is_complete", sa.Boolean(), nullable=False, server_default=sa.false()))
