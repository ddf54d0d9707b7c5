"""The token that programs show before the REST service answers them."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from fcnlab.errors import InvalidSetting
from fcnlab.lab import Lab
from fcnlab.storage.files.filestore import TOKEN_FILE
from fcnlab.storage.files.whole_files import replaced_whole

SHORTEST = 16
"""Characters of a token; a shorter one can be guessed."""

SECRET_LENGTH = 40
"""Hexadecimal digits in the address for Label Studio: 160 bits."""


def token_file(lab: Lab) -> Path:
    """The file that holds the token this installation made for itself."""
    return lab.folders.images.parent / TOKEN_FILE


def api_token(lab: Lab) -> str:
    """The token of FCNLAB_API_TOKEN, else the one this installation made for itself; only its owner may read the file.

    Raises:
        InvalidSetting: FCNLAB_API_TOKEN is too short, or the file cannot be read or written.
    """
    if lab.settings.api_token:
        if len(lab.settings.api_token) < SHORTEST:
            raise InvalidSetting(f"FCNLAB_API_TOKEN has fewer than {SHORTEST} characters: choose one nobody guesses")
        return lab.settings.api_token
    path = token_file(lab)
    try:
        if not path.is_file():
            with replaced_whole(path) as part, open(part, "w", opener=_for_its_owner) as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        token = path.read_text("utf-8").strip()
    except OSError as failure:
        raise InvalidSetting(f"{path} cannot be read or written ({failure.strerror}): see who may") from failure
    if len(token) < SHORTEST:
        raise InvalidSetting(f"{path} holds no token: delete it, and another one is made")
    return token


def label_studio_path(token: str) -> str:
    """Where Label Studio finds its protocol without a header: its webhooks carry none.

    The secret in it is derived from the token and opens nothing else; the token cannot be found from it.
    """
    secret = hmac.new(token.encode(), b"label-studio", hashlib.sha256).hexdigest()
    return f"/label-studio/{secret[:SECRET_LENGTH]}"


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
