"""Read the settings: command line, then environment, then its older names, then the TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from paperfleet.errors import ConfigurationError
from paperfleet.private import shared_text
from paperfleet.secret import Secret
from paperfleet.settings.environment import (
    CONFIG_VARIABLE,
    FoundSetting,
    mistake,
    set_in,
    unknown_names,
)
from paperfleet.settings.mirror import MirrorSettings, table
from paperfleet.settings.places import default_journal
from paperfleet.settings.table import PREFIX
from paperfleet.settings.values import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from paperfleet.settings.table import Setting

SECTION = "mirror"
LEGACY_SOURCE = "/mnt/source"
MOUNT_VARIABLES = (
    "FOLDER_USER",
    "FOLDER_GROUP",
    "ACCESS_DIR",
    "ACCESS_FILE",
    "DIR_USER",
    "DIR_GROUP",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was set somewhere, by key, and what the user should be told about it."""

    found: dict[str, FoundSetting]
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def get(self, key: str) -> object:
        """Return the value of a setting, its default when it is not set, None without one."""
        if key in self.found:
            return self.found[key].value
        return table()[key].default


def read(arguments: Mapping[str, object], environ: Mapping[str, str]) -> Reading:
    """Collect and check what is set.

    ``arguments`` are the options of the command line by key, and ``config`` for the file; None
    means not given. Raises ``ConfigurationError`` that names the variable, option or key, what is
    wrong with it and what to do.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    file = _config_file(given.pop("config", None), environ)
    layers = [
        {key: FoundSetting(value, _option(table()[key])) for key, value in given.items()},
        _from_environment(environ),
        _from_legacy(environ),
        _from_file(file) if file else {},
    ]
    found: dict[str, FoundSetting] = {}
    for layer in layers:
        _refuse_doubles(layer)
        _add(found, {key: _parsed(key, raw) for key, raw in layer.items()})
    if "paperless" in found:
        _put_in_place_of_source(found, layers[0])
    elif environ.get("WEBDRIVE_URL") and "source" not in found:
        found["source"] = FoundSetting(LEGACY_SOURCE, "WEBDRIVE_URL")
    shared = tuple(_shared(found, file))
    return Reading(found | dict(_secrets_from_files(found)), tuple(_notices(environ)), shared)


def _put_in_place_of_source(
    found: dict[str, FoundSetting], given: Mapping[str, FoundSetting]
) -> None:
    """Let a paperless-ngx be the source; the only place that is named is the target then.

    SOURCE and TARGET are told by their position, so the first of one is SOURCE.
    """
    address = found["paperless"]
    if "source" in given and "target" not in given:
        found["target"] = FoundSetting(found.pop("source").value, "TARGET")
    if "source" in found and found["source"].value != address.value:
        origin = found["source"].origin
        raise ConfigurationError(
            f"{origin} and {address.origin} are both set, and are two sources", hint="Keep one"
        )
    found["source"] = address


def settings_of(reading: Reading, environ: Mapping[str, str]) -> MirrorSettings:
    """Return the settings of a mirror; raise ``ConfigurationError`` when one is missing."""
    from paperfleet.storage.registry import refuse_secret  # noqa: PLC0415  # health needs it not

    values = {key: found.value for key, found in reading.found.items()}
    for key in ("source", "target"):
        _require(key, values)
        found = reading.found[key]
        secret = "PAPERLESS_TOKEN" if found.origin == _origin(reading, "paperless") else "PASSWORD"
        hint = f"Take it out, and set {PREFIX}{secret} or {PREFIX}{secret}_FILE"
        refuse_secret(str(found.value), hint=hint, origin=found.origin)
    if "paperless" in values and "paperless_token" not in values:
        raise ConfigurationError(
            "no token for paperless-ngx is given",
            hint=f"Make one at 'My Profile' there, and set {PREFIX}PAPERLESS_TOKEN_FILE",
        )
    values["username"] = _username(reading)
    if "journal" not in values:
        values["journal"] = default_journal(str(values["source"]), str(values["target"]), environ)
    return MirrorSettings(**values)  # type: ignore[arg-type]  # each was parsed by its field's own type


def _origin(reading: Reading, key: str) -> str | None:
    return reading.found[key].origin if key in reading.found else None


def _option(setting: Setting) -> str:
    return setting.flag or setting.key.upper()


def _config_file(option: object, environ: Mapping[str, str]) -> FoundSetting | None:
    if option is not None:
        return FoundSetting(option, "--config")
    variable = environ.get(CONFIG_VARIABLE)
    return FoundSetting(variable, CONFIG_VARIABLE) if variable else None


def _from_environment(environ: Mapping[str, str]) -> dict[str, FoundSetting]:
    if error := mistake(environ):
        raise error
    return set_in(table(), environ)


def _from_legacy(environ: Mapping[str, str]) -> dict[str, FoundSetting]:
    return {
        setting.key: FoundSetting(environ[setting.about.legacy], setting.about.legacy)
        for setting in table().values()
        if setting.about.legacy and environ.get(setting.about.legacy)
    }


def _from_file(file: FoundSetting) -> dict[str, FoundSetting]:
    path = Path(str(file.value))
    document = _toml(path, file.origin)
    _refuse_unknown(
        [key for key in document if key != SECTION], [SECTION], f"{path}: unknown table"
    )
    section = document.get(SECTION, {})
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: {SECTION} is not a table", hint=f"Write [{SECTION}]")
    _refuse_unknown(
        [key for key in section if key not in table()],
        table(),
        f"{path}: unknown key in [{SECTION}]",
    )
    return {key: FoundSetting(value, f"{key} in {path}") for key, value in section.items()}


def _toml(path: Path, origin: str) -> dict[str, object]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(
            f"{origin}: cannot read {path}: {error.strerror}", hint="Give a readable TOML file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # Without the cause: it holds the whole text of the file, which may hold a password.
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} is not TOML: {reason}") from None


def _refuse_unknown(unknown: list[str], valid: Iterable[str], what: str) -> None:
    if error := unknown_names(unknown, valid, what):
        raise error


def _refuse_doubles(layer: Mapping[str, FoundSetting]) -> None:
    for secret in _secrets():
        if secret in layer and f"{secret}_file" in layer:
            first, second = layer[secret].origin, layer[f"{secret}_file"].origin
            raise ConfigurationError(f"{first} and {second} are both set", hint="Keep one of them")


def _parsed(key: str, raw: FoundSetting) -> FoundSetting:
    return FoundSetting(parse(table()[key], raw.value, raw.origin), raw.origin)


def _add(found: dict[str, FoundSetting], layer: Mapping[str, FoundSetting]) -> None:
    """Add what is not set yet; a secret and its file stand for the same thing."""
    for key, value in layer.items():
        stem = key.removesuffix("_file")
        if stem not in found and f"{stem}_file" not in found:
            found[key] = value


def _secrets() -> list[str]:
    return [key for key, setting in table().items() if setting.secret]


def _shared(found: Mapping[str, FoundSetting], file: FoundSetting | None) -> Iterator[str]:
    """Yield what is wrong with the rights of files that hold a secret which is in use."""
    for secret in _secrets():
        beside = found.get(f"{secret}_file")
        path = Path(str(beside.value)) if beside else None
        if file is not None and secret in found and found[secret].origin.endswith(f"{file.value}"):
            path = Path(str(file.value))
        if path is not None and (text := shared_text(path)):
            yield text


def _secrets_from_files(found: Mapping[str, FoundSetting]) -> Iterator[tuple[str, FoundSetting]]:
    for secret in _secrets():
        if file := found.get(f"{secret}_file"):
            text = read_secret(Path(str(file.value)), file.origin)
            yield secret, FoundSetting(text, f"{file.value} ({file.origin})")


def read_secret(path: Path, origin: str) -> Secret:
    """Return what a file holds without the newline at its end; raise ``ConfigurationError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{origin}: cannot read {path}: {error.strerror}",
            hint="Give a file that this user may read",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{origin}: {path} is not UTF-8 text") from None
    stripped = text.removesuffix("\n").removesuffix("\r")
    if not stripped:
        raise ConfigurationError(f"{origin}: {path} is empty", hint="Write the secret into it")
    return Secret(stripped)


def _require(key: str, values: Mapping[str, object]) -> None:
    if key not in values:
        legacy = " or WEBDRIVE_URL" if key == "target" else ""
        raise ConfigurationError(
            f"no {key} is given",
            hint=f"Run: paperfleet mirror SOURCE TARGET, or set {PREFIX}{key.upper()}{legacy}",
        )


def _username(reading: Reading) -> str:
    username = str(reading.get("username"))
    in_url = unquote(urlsplit(str(reading.get("target"))).username or "")
    if username and in_url and username != in_url:
        raise ConfigurationError(
            f"two users for the target: {username!r} ({reading.found['username'].origin}) "
            f"and {in_url!r} in its URL",
            hint="Keep one of them",
        )
    return username or in_url


def _notices(environ: Mapping[str, str]) -> Iterator[str]:
    unneeded = [name for name in MOUNT_VARIABLES if environ.get(name)]
    if unneeded:
        yield f"not needed, since nothing is mounted: {', '.join(unneeded)}"
    zone = environ.get("TZ", "")
    if "/" in zone and not _is_zone(zone.removeprefix(":")):
        yield f"TZ: no time zone {zone!r} is known here; the log has UTC"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def origins(reading: Reading) -> Iterable[tuple[Setting, object, str]]:
    """Yield every setting with its value and where that comes from, for people."""
    for key, setting in table().items():
        origin = reading.found[key].origin if key in reading.found else "default"
        yield setting, reading.get(key), origin
