"""Facts of the machine, read once from environment variables `VITRINA_*` at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the service. Every field is a variable: `home` is VITRINA_HOME. An empty one is as good as unset."""

    model_config = SettingsConfigDict(env_prefix="VITRINA_", frozen=True)

    home: Path = Field(default=Path(".vitrina"), description="Folder of the embedded state.")
    registry_uri: str | None = Field(
        default=None,
        description="MLflow server (http://), database (sqlite:///) or file registry (file://); unset: HOME/mlflow.db.",
    )
    registered_model: str = Field(default="ranking_model", description="Registered model of the storefront.")
    bank_registered_model: str = Field(default="bank_products", description="Registered model of the bank.")
    basket_registered_model: str = Field(default="basket", description="Registered model of the basket.")
    objects_uri: str | None = Field(
        default=None, description="Object store with the lists: s3://BUCKET/prefix or a folder; unset: HOME/objects."
    )
    s3_endpoint: str | None = Field(default=None, description="Address of the S3 store; unset: AWS.")
    s3_access_key: str | None = Field(default=None, description="Access key of the S3 store.")
    s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of the S3 store.")
    s3_region: str = Field(default="us-east-1", description="Region of the S3 store.")
    state_uri: str | None = Field(
        default=None, description="State database (postgresql+psycopg2://...) with the accounts; unset: HOME/state.db."
    )
    require_token: str = Field(
        default="", description="Groups of routes that need a token: recommendations, events, admin; a comma between."
    )
    token_minutes: float = Field(default=60.0, gt=0, le=1440, description="How long an access token holds.")
    token_secrets: SecretStr | None = Field(
        default=None,
        description="Secrets that sign tokens, a comma between, the first signs; unset: random ones in the database.",
    )
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
    graphite: str = Field(
        default="",
        pattern=r"^(\S+:[0-9]{1,5})?$",
        description="HOST:PORT of the carbon that the bank's metrics are sent to; unset: none are sent.",
    )
    graphite_prefix: str = Field(
        default="",
        pattern=r"^(([A-Za-z0-9_-]|\{host\})+(\.([A-Za-z0-9_-]|\{host\})+)*)?$",
        description="What stands before each name in Graphite; {host} in it is the name of the host.",
    )
    graphite_seconds: int = Field(default=10, ge=1, le=3600, description="Pause between two values of a name.")

    @model_validator(mode="before")
    @classmethod
    def _without_the_empty_ones(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Files of variables have empty lines for what is not set: no secret, address or folder is empty."""
        return {name: value for name, value in given.items() if not _is_empty(value)}

    @property
    def state_address(self) -> str:
        return self.state_uri or f"sqlite:///{self.home.absolute()}/state.db"

    @property
    def copies_root(self) -> Path:
        return self.home / "serving"


def _is_empty(value: object) -> bool:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return isinstance(text, str) and not text.strip()
