"""Facts of the machine, read once from environment variables `VITRINA_*` at the start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the service. Every field is a variable: `home` is VITRINA_HOME."""

    model_config = SettingsConfigDict(env_prefix="VITRINA_", frozen=True)

    home: Path = Field(default=Path(".vitrina"), description="Folder of the embedded state.")
    registry_uri: str | None = Field(
        default=None,
        description="MLflow server (http://), database (sqlite:///) or file registry (file://); unset: HOME/mlflow.db.",
    )
    registered_model: str = Field(default="ranking_model", description="Registered model of the storefront.")
    objects_uri: str | None = Field(
        default=None, description="Object store with the lists: s3://BUCKET/prefix or a folder; unset: HOME/objects."
    )
    s3_endpoint: str | None = Field(default=None, description="Address of the S3 store; unset: AWS.")
    s3_access_key: str | None = Field(default=None, description="Access key of the S3 store.")
    s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of the S3 store.")
    s3_region: str = Field(default="us-east-1", description="Region of the S3 store.")
    admin_token: SecretStr | None = Field(
        default=None, description="Bearer token of the admin routes (/models); unset: they are open."
    )
    poll_seconds: float = Field(default=2.0, gt=0, le=3600, description="Pause between looks for new models or lists.")
    max_body_bytes: int = Field(default=65_536, ge=1024, description="Largest accepted request body.")

    slow_seconds: float = Field(default=0.5, gt=0, description="Answers that take longer are written to the log.")
    access_log: bool = Field(default=False, description="Whether every answer is written to the log.")

    metrics_folder: Path | None = Field(
        default=None,
        description="Folder in which the workers of one service keep their counts; unset: a new one for each start.",
    )

    @property
    def copies_root(self) -> Path:
        return self.home / "serving"
