"""Which names are good. Every function returns the rules that a text breaks, in the words that clients match on.

Source: the Kubernetes page "Object Names and IDs", RFC 1035, RFC 1123.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

Rule = Callable[[str], Sequence[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_compiled = {
    each: re.compile(each)
    for each in (_LABEL, _SUBDOMAIN, _LABEL_1035, _QUALIFIED, _LABEL_VALUE, _CONFIG_KEY, _HTTP_HEADER)
}
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
PERCENT_TEXT = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"  # noqa: E501 the text is fixed


def too_long(limit: int) -> str:
    """The words for a text with more than `limit` bytes."""
    return f"must be no more than {limit} bytes"


def _regex(text: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{each}', " for each in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def _check(text: str, pattern: str, limit: int, message: str) -> list[str]:
    found = [too_long(limit)] if len(text.encode()) > limit else []
    if not _compiled[pattern].fullmatch(text):
        found.append(message)
    return found


@lru_cache(maxsize=8192)
def dns_label(text: str) -> Sequence[str]:
    """A lowercase label of RFC 1123."""
    words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"  # noqa: E501 the text is fixed
    return _check(text, _LABEL, 63, _regex(words, _LABEL, "my-name", "123-abc"))


@lru_cache(maxsize=8192)
def dns_subdomain(text: str) -> Sequence[str]:
    """A lowercase domain name of RFC 1123: what most objects are called."""
    words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"  # noqa: E501 the text is fixed
    return _check(text, _SUBDOMAIN, 253, _regex(words, _SUBDOMAIN, "example.com"))


@lru_cache(maxsize=8192)
def dns_1035_label(text: str) -> Sequence[str]:
    """A label of RFC 1035, which starts with a letter: what services are called."""
    words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"  # noqa: E501 the text is fixed
    return _check(text, _LABEL_1035, 63, _regex(words, _LABEL_1035, "my-name", "abc-123"))


def path_segment(text: str) -> list[str]:
    """A name that can stand in a URL path: what RBAC objects are called."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{each}'" for each in "/%" if each in text]


@lru_cache(maxsize=8192)
def qualified(text: str) -> Sequence[str]:
    """A label or annotation key, a resource or condition name: an optional domain, a slash, a name."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        form = _regex(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"a qualified name {form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {each}" for each in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {too_long(63)}")
    if not _compiled[_QUALIFIED].fullmatch(name):
        found.append("name part " + _regex(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return found


@lru_cache(maxsize=8192)
def label_value(text: str) -> Sequence[str]:
    """The value of a label."""
    words = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"  # noqa: E501 the text is fixed
    return _check(text, _LABEL_VALUE, 63, _regex(words, _LABEL_VALUE, "MyValue", "my_value", "12345"))


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    found = _check(text, _CONFIG_KEY, 253, _regex(words, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if text == ".":
        found.append("must not be '.'")
    elif text.startswith(".."):
        found.append("must not be '..'" if text == ".." else "must not start with '..'")
    return found


def env_name(text: str) -> list[str]:
    """The name of an environment variable."""
    if text and all(" " <= each <= "~" and each != "=" for each in text):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def http_header(text: str) -> list[str]:
    """The name of an HTTP header."""
    if _compiled[_HTTP_HEADER].fullmatch(text):
        return []
    words = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_regex(words, _HTTP_HEADER, "X-Header-Name")]


def port_name(text: str) -> list[str]:
    """The name of a container port (an IANA service name)."""
    found = ["must be no more than 15 characters"] if len(text) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", text):
        found.append("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def port_number(value: int) -> list[str]:
    """A port from 1 to 65535."""
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def ip(text: str) -> list[str]:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return [IP_TEXT]
    return []


def cidr(text: str) -> list[str]:
    """An address range such as 10.0.0.0/8."""
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return [CIDR_TEXT]
    return [] if "/" in text else [CIDR_TEXT]


def masked(rule: Rule, prefix: str) -> Sequence[str]:
    """The rule applied to a `generateName`, whose closing dash is followed by more."""
    return rule(prefix[:-1] + "a" if prefix.endswith("-") else prefix)
