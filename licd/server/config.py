"""The daemon's settings: one TOML file and the environment over it. An unknown key refuses to start."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from licd.core.errors import Invalid
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.keys.identity import IdentityError, check_trust_domain
from licd.keys.kinds import KeyPurpose
from licd.keys.pkcs11_uri import Pkcs11UriError, parse_pkcs11_uri

FILE_NAME: Final = "licd.toml"
PORT_LIMIT: Final = 65535
ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(\d{1,5})")


def _address(text: str) -> str:
    found = ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > PORT_LIMIT:
        raise ValueError(f"{text[:80]!r} is no address; write host:port, as 127.0.0.1:7441 or [::1]:7441")
    return text


def _advertised(text: str) -> str:
    """One address, or those of several replicas."""
    for each in text.split(",") if text else ():
        _address(each)
    return text


def _trust_domain(text: str) -> str:
    try:
        return check_trust_domain(text)
    except IdentityError as error:
        raise ValueError(str(error)) from error


def _token_key(text: str) -> str:
    try:
        parse_pkcs11_uri(text)
    except Pkcs11UriError as error:
        raise ValueError(str(error)) from error
    return text


TokenKey = Annotated[str, AfterValidator(_token_key)]
Address = Annotated[str, AfterValidator(_address)]
Advertised = Annotated[str, AfterValidator(_advertised)]
AddressOrNone = Annotated[str, AfterValidator(lambda text: _address(text) if text else "")]
TrustDomain = Annotated[str, AfterValidator(_trust_domain)]


class Listen(BaseModel):
    """Addresses to listen on, host:port. Port 0 takes a free one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enrolment: Address = "127.0.0.1:7441"
    customer: Address = "127.0.0.1:7442"
    operator: Address = "127.0.0.1:7443"
    metrics: Address = "127.0.0.1:7444"


class Intake(BaseModel):
    """The public port at which anybody reports, without a certificate. Off unless listen says where.

    Beyond this machine it has TLS of its own; without certificate and key it listens on loopback alone, behind a proxy
    that has. Paths are relative to the state directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: AddressOrNone = ""
    compliance_key: Path = Path("compliance.pub")
    """What allegations are sealed to: the public half of what `licctl allegation create-key` writes."""
    certificate: Path | None = None
    key: Path | None = None
    requests_per_second: int = Field(default=5, ge=1)
    requests_at_once: int = Field(default=50, ge=1)
    """Of all strangers together: nobody is told apart from another, and no address is kept."""
    connections: int = Field(default=64, ge=1)
    exchange_seconds: int = Field(default=30, ge=1)
    """How long one request and its answer may take; who is slower is let go."""

    @model_validator(mode="after")
    def _exposed_with_tls(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        host = self.listen.rpartition(":")[0].strip("[]")
        if self.listen and self.certificate is None and not _is_loopback(host):
            raise ValueError(
                f"{self.listen} can be reached from elsewhere: give certificate and key, or listen on 127.0.0.1"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Advertise(BaseModel):
    """What others are told to connect to; empty: the listening address with the name of the server certificate.

    Of several replicas all addresses, with commas between them: a system goes to the next where one does not answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enrolment: Advertised = ""
    customer: Advertised = ""


class Limits(BaseModel):
    """What one caller may use, and how many may stand at each door."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: int = Field(default=2000, ge=1)
    requests_at_once: int = Field(default=4000, ge=1)
    enrolments_per_second: int = Field(default=20, ge=1)
    enrolments_at_once: int = Field(default=200, ge=1)
    enrolment_connections: int = Field(default=128, ge=1)
    customer_connections: int = Field(default=12_000, ge=1)
    operator_connections: int = Field(default=256, ge=1)
    handshake_seconds: int = Field(default=10, ge=1)
    enrolment_stay_seconds: int = Field(default=60, ge=1)
    stream_age_seconds: int = Field(default=1800, ge=1)
    certificate_days: int = Field(default=7, ge=1, le=90)
    force_release_cool_down_seconds: int = Field(default=600, ge=0)
    drain_seconds: int = Field(default=5, ge=0)
    reserve_mebibytes: int = Field(default=16, ge=1)


class Database(BaseModel):
    """Where the rows are: without a url in a file of the state directory, which one daemon has for itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    """postgresql://…, as libpq takes it, of several hosts too; any number of replicas share it."""
    prepared_statements: bool = True
    """False behind a pooler that gives each transaction another session and knows none (pgbouncer before 1.21)."""


class Keys(BaseModel):
    """Keys on PKCS#11 tokens, each by its URI, beside or in place of the files below keys/."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    licence_issuer: tuple[TokenKey, ...] = ()
    permit_online: tuple[TokenKey, ...] = ()
    evidence: tuple[TokenKey, ...] = ()
    pkcs11_module: Path | None = None
    """Where a URI has no module-path."""
    pin_file: Path | None = None
    """Where a URI has no pin-source. Relative to the state directory; only its owner may read it."""

    def of(self, purpose: KeyPurpose) -> tuple[str, ...]:
        """The URIs of a purpose."""
        match purpose:
            case KeyPurpose.LICENCE_ISSUER:
                return self.licence_issuer
            case KeyPurpose.PERMIT_ONLINE:
                return self.permit_online
            case KeyPurpose.EVIDENCE:
                return self.evidence
            case _:
                return ()


class ServerConfig(BaseSettings):
    """Everything licd.toml may say. Environment variables LICD_LISTEN__CUSTOMER and the like go over the file."""

    model_config = SettingsConfigDict(env_prefix="LICD_", env_nested_delimiter="__", extra="forbid", frozen=True)

    trust_domain: TrustDomain
    replica: str = "replica-1"
    policies: Path = Path("policies")
    ratchet: Path = Path("ratchet")
    listen: Listen = Listen()
    advertise: Advertise = Advertise()
    limits: Limits = Limits()
    intake: Intake = Intake()
    keys: Keys = Keys()
    database: Database = Database()

    found: ClassVar[dict[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic calls it by these names
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes over the file."""
        return (env_settings, InitSettingsSource(settings_cls, cls.found), init_settings)


def read_config(state: Path) -> ServerConfig:
    """The settings of a state directory. Raises Invalid naming file and key."""
    path = state / FILE_NAME
    if not path.is_file():
        raise Invalid(f"{state} holds no {FILE_NAME}; `licd init --state DIR` makes a state directory", field="state")

    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except (TomlInvalid, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: {error}") from error

    class FromFile(ServerConfig):
        found: ClassVar[dict[str, Any]] = values

    try:
        return FromFile()  # type: ignore[call-arg]
    except ValidationError as error:
        raise Invalid("; ".join(_problem(path, each) for each in error.errors())) from error


def _problem(path: Path, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    problem = (
        "there is no such setting" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    )
    return f"{path}: {where}: {problem}"
