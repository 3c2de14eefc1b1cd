"""Opening a storage by its name: a URL, the path of a folder, or a dotted path with options."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret
from paperfleet.storage.addresses import meaning_of, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.storage.protocol import DocumentStorage

_METHODS = (
    "__enter__",
    "__exit__",
    "open",
    "save",
    "delete",
    "exists",
    "move",
    "list_files",
    "size",
)
_EXTRAS = {"obstore": "s3", "fsspec": "fsspec"}
"""Modules that optional parts of this package need, and the names of those parts."""
_CALLED_SECRET = re.compile(
    r"secret|passw|passphrase|token|signature|credential|api[-_]?key|account[-_]?key|private[-_]?key"
    r"|shared[-_]?key|sas\b|sas_key|connection[-_]?string|^(pw|pwd|key)$",
    re.IGNORECASE,
)
"""Names of options that hold secrets, also of backends that take any option (fsspec)."""
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def open_storage(spec: str, options: Mapping[str, object] | None = None) -> DocumentStorage:
    """Return the storage that ``spec`` names, constructed and not entered; sends no request.

    ``spec`` is what ``addresses.meaning_of`` takes. ``options`` are the keyword arguments of the
    backend's constructor; one that is None counts as not given, others take precedence over what
    the address says. A text becomes a bool, a number or a ``Secret`` where the constructor asks for
    one. Raises ``ConfigurationError`` that names what is wrong and never shows a password; also for
    an address with a secret in it (``secret_in``): those are options.
    """
    refuse_secret(spec, hint="Take it out, and give it as an option")
    meant = meaning_of(spec)
    factory = _load(meant.backend)
    given = {key: value for key, value in (options or {}).items() if value is not None}
    arguments = _arguments(meant.backend, factory, {**meant.options, **given})
    if isinstance(factory, type):
        _require_methods(meant.backend, factory)
    storage = factory(**arguments)
    _require_methods(meant.backend, storage)
    return cast("DocumentStorage", storage)


def accepted_options(spec: str) -> frozenset[str]:
    """Return the names of all options that the backend of ``spec`` takes."""
    return frozenset(_parameters(_load(meaning_of(spec).backend)))


def refuse_secret(spec: str, *, hint: str, origin: str = "") -> None:
    """Raise ``ConfigurationError`` for an address with a secret in it, without quoting it.

    Everybody can read the list of processes, and addresses stand in logs and shell histories.
    """
    before = f"{origin}: " if origin else ""
    try:
        found = secret_in(spec)
    except ConfigurationError as error:
        raise ConfigurationError(f"{before}{error.message}") from None
    if found:
        raise ConfigurationError(
            f"{before}the URL has a {found} in it, where others can read it", hint=hint
        )


def secret_in(spec: str) -> str:
    """Return which secret an address has in it, by its name, '' for none.

    That is a password before the host, a query option that is a ``Secret`` of the backend or is
    called so, and a password in a URL that is the value of one. Raises ``ConfigurationError`` for
    what is no URL.
    """
    if "://" not in spec:
        return ""
    try:
        parts = urlsplit(spec)
        options = parse_qsl(parts.query, keep_blank_values=True)
        nested = [urlsplit(value).password for _, value in options if "://" in value]
    except ValueError:  # its text may quote the URL
        raise ConfigurationError("this is not a URL") from None
    if parts.password is not None or any(password is not None for password in nested):
        return "password"
    secrets = _secret_parameters(spec) if options else frozenset()
    found = (name for name, _ in options if name in secrets or _CALLED_SECRET.search(name))
    return next(found, "")


def _secret_parameters(spec: str) -> frozenset[str]:
    try:
        parameters = _parameters(_load(meaning_of(spec).backend))
    except ConfigurationError:  # opening it says what is wrong
        return frozenset()
    return frozenset(n for n, one in parameters.items() if "Secret" in str(one.annotation))


def _load(dotted: str) -> Callable[..., object]:
    module_name, _, attribute = dotted.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the storage {dotted} cannot be loaded: there is no module {error.name}",
            hint=_missing(error.name or "", dotted),
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        classes = [name for name, value in vars(module).items() if _is_storage(value)]
        raise ConfigurationError(
            f"the module {module_name} has no storage {attribute!r}",
            hint=nearest(attribute, classes),
        )
    return cast("Callable[..., object]", found)


def _missing(module: str, dotted: str) -> str:
    if module in _EXTRAS:
        return f"Install it: pip install 'paperfleet[{_EXTRAS[module]}]'"
    return f"Install it, or check the spelling; a folder of this name is written ./{dotted}"


def _is_storage(value: object) -> bool:
    return isinstance(value, type) and all(hasattr(value, method) for method in _METHODS)


def _require_methods(dotted: str, storage: object) -> None:
    missing = [method for method in _METHODS if not callable(getattr(storage, method, None))]
    if missing:
        raise ConfigurationError(
            f"{dotted} is no document storage: it lacks {', '.join(missing)}",
            hint="The methods are described in paperfleet.storage.protocol.DocumentStorage",
        )


def _parameters(factory: Callable[..., object]) -> dict[str, inspect.Parameter]:
    return {
        name: parameter
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind not in {parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL}
    }


def _arguments(
    dotted: str, factory: Callable[..., object], options: Mapping[str, object]
) -> dict[str, object]:
    parameters = _parameters(factory)
    named = {name for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD}
    for option in options if len(named) == len(parameters) else ():
        if option not in named:
            raise ConfigurationError(
                f"{dotted} has no option {option!r}", hint=nearest(option, named)
            )
    missing = [
        name
        for name in named - options.keys()
        if parameters[name].default is inspect.Parameter.empty
    ]
    if missing:
        raise ConfigurationError(f"{dotted} needs the option {', '.join(sorted(missing))}")
    return {
        name: _converted(dotted, name, value, str(parameters[name].annotation))
        if name in named
        else value
        for name, value in options.items()
    }


def _converted(dotted: str, name: str, value: object, annotation: str) -> object:
    """Return a text as what the constructor's annotation asks for; anything else as it is."""
    if not isinstance(value, str):
        return value
    if "Secret" in annotation:
        return Secret(value)
    kinds = set(annotation.replace("<class '", "").replace("'>", "").replace(" ", "").split("|"))
    kinds.discard("None")
    try:
        if kinds == {"bool"}:
            return _WORDS[value.lower()]
        if kinds == {"int"}:
            return int(value)
        if kinds in ({"float"}, {"float", "int"}):
            return float(value)
    except (KeyError, ValueError):
        raise ConfigurationError(
            f"the option {name!r} of {dotted} has a value that is no {kinds.pop()}"
        ) from None
    return value
