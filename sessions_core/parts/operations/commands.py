"""`flask sessions check`: a checklist of the running deployment."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import click

from ...errors import BadRequest, StoreUnavailable
from ...web.services import current_services
from ..command_line.output import Commands, answer, json_option, say
from . import Operations, checklist, site_checks

sessions = Commands("sessions")


@sessions.command("check")
@click.option("--url", help="Where the site's pages are, if not at its public address, such as https://host/path.")
@click.option("--offline", is_flag=True, help="Ask Redis only, and not the site.")
@json_option
@click.pass_context
def check(context: click.Context, url: str | None, offline: bool, as_json: bool) -> None:
    """Check the settings, Redis, proxies, clocks, TLS and cookies of the running deployment.

    Each line begins with ok, advice or unsafe. Ends with code 1 if a line says unsafe.
    """
    if url is not None and not _is_address(url):
        raise BadRequest("The --url is no address such as https://app.example.org/account.")
    found = list(_findings(url, offline))
    unsafe = sum(each.state == "unsafe" for each in found)
    if as_json:
        answer([each._asdict() for each in found], as_json)
    else:
        answer([f"{each.state:6}  {each.about:8}  {each.sentence}" for each in found], as_json)
    if unsafe:
        say(f"Unsafe: {unsafe} of {len(found)}.", err=True)
        context.exit(1)


def _findings(url: str | None, offline: bool) -> Iterator[checklist.Finding]:
    services = current_services()
    settings, operations = services.settings, services.part(Operations)
    yield from checklist.of_settings(settings, operations.options.redis_check, operations.options.metrics_secret)
    redis = list(checklist.of_redis(services.connection, settings))
    yield from redis
    if not any(each.state == "unsafe" and each.about == "redis" for each in redis):
        try:
            unaware = len(operations.servers.unaware())
        except StoreUnavailable:
            unaware = 0  # it has answered a moment ago, and the lines about it stand
        yield from checklist.of_secrets(services.connection, settings, unaware)
    for part in services.parts.values():
        yield from (checklist.Finding(state, part.name, sentence) for state, sentence in part.findings())
    if not offline:
        site = site_checks.Site(url or settings.public_origin + settings.url_prefix, settings)
        yield from site_checks.of_site(site, settings)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:  # a port that is no number
        return False
