"""What lay on an image when the mask it keeps was made"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("mask_content", sa.String(), nullable=True))
