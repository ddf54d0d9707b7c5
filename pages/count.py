"""Count: how many objects there are in all images of a project."""

from fcnlab.errors import FcnlabError
from fcnlab.ui import count_panel, frame, session

own = session.engine()
project = frame.chosen_project(own)
if project is not None:
    try:
        if not count_panel.empty_state(own, project):
            count_panel.draw(own, project)
    except FcnlabError as failure:
        session.explained(failure)
