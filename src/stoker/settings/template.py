"""A settings file is a template that becomes YAML that becomes a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment

from stoker.errors import ConfigurationError

_REQUIRED: Any = object()


def read(file: Path, origin: str, environ: Mapping[str, str]) -> Mapping[Any, object]:
    """Read a settings file; ``origin`` names it in every ConfigurationError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{origin} cannot be read: {error}") from None
    return _parsed(_rendered(text, origin, environ), origin, substituted="{{" in text)


def _rendered(text: str, origin: str, environ: Mapping[str, str]) -> str:
    def get_env(name: str, default: object = _REQUIRED) -> object:
        if name in environ:
            return environ[name]
        if default is _REQUIRED:
            raise ConfigurationError(f"{origin}: the variable {name} is not set, and get_env gives no default for it")
        return default

    # YAML, not HTML: nothing is to be escaped.
    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return environment.from_string(text).render(get_env=get_env)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigurationError(f"{origin}, line {error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ConfigurationError(f"{origin}: the template fails: {error}") from None


def _parsed(text: str, origin: str, *, substituted: bool) -> Mapping[Any, object]:
    try:
        parsed = yaml.load(text, _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        # Never the snippet that YAML would show: the line may hold a secret.
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        hint = '; where a value comes from get_env, quote the placeholder: "{{ … }}"' if substituted else ""
        raise ConfigurationError(f"{origin}{line} is not YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{origin} is not YAML: {error}".replace("\n", " ")) from None
    if parsed is None:
        return {}
    if not isinstance(parsed, Mapping):
        raise ConfigurationError(f"{origin}: the file must be a mapping, not {type(parsed).__name__}")
    return parsed


class _Loader(yaml.SafeLoader):
    """A safe loader to which a key written twice is a mistake, not an answer."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen and key_node.value != "<<":
                complaint = f"{key_node.value} is written twice"
                raise yaml.constructor.ConstructorError(None, None, complaint, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)
