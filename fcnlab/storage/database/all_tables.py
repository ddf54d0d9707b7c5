"""All tables of fcnlab, whichever module defines them."""

from __future__ import annotations

from sqlalchemy import MetaData

from fcnlab.storage.database.surveys.tables import SurveyRow
from fcnlab.storage.database.tables import Base
from fcnlab.storage.database.tags.tables import ImageTagRow

ALL_TABLES: MetaData = Base.metadata
"""These tables and those they stand on."""

OF_ALL_MODULES = (Base, SurveyRow, ImageTagRow)
"""A table is known once its module is imported."""
