"""What is told of a failure opens no door."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fcnlab.services.installation.diagnostics import failure_report
from fcnlab.settings import Settings

SECRETS = ("correct-horse", "battery-staple", "tr0ub4dor", "hunter22")


@pytest.mark.parametrize("with_traceback", [True, False])
def test_a_report_has_no_password_and_no_token(tmp_path: Path, with_traceback: bool) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://ann:hunter22@db.example.org/lab",
        access_token="correct-horse",
        api_token="battery-staple",
        label_studio_token="tr0ub4dor",
    )
    message = f"{settings.database_url} refused; /?token=other-secret said correct-horse, battery-staple, tr0ub4dor"

    report = failure_report(
        settings,
        RuntimeError(message),
        error_id="1a2b3c4d",
        page="Train",
        at=datetime(2030, 2, 1, 12, 30, tzinfo=UTC),
        with_traceback=with_traceback,
    )

    assert "error 1a2b3c4d on the page Train at 2030-02-01 12:30:00 UTC" in report
    assert [secret for secret in (*SECRETS, "other-secret") if secret in report] == []
    assert ("db.example.org" in report) == with_traceback


@pytest.mark.parametrize("password", ["hunter22", "hun@ter22", "hun/ter22", "hu:n/t@er22", "hun?ter@22#"])
def test_a_password_is_hidden_whatever_characters_it_has(tmp_path: Path, password: str) -> None:
    address = f"postgresql://ann:{password}@db.example.org/lab"
    report = failure_report(
        Settings(data_dir=tmp_path),
        RuntimeError(f"no answer of {address}, nor of https://example.org/lab"),
        error_id="1a2b3c4d",
        page="Train",
        at=datetime(2030, 2, 1, 12, 30, tzinfo=UTC),
        with_traceback=True,
    )

    assert "no answer of postgresql://(secret)@db.example.org/lab, nor of https://example.org/lab" in report
