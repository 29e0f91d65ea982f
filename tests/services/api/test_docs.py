import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.services.api.test_errors import assert_problem


def loaded(page: str) -> list[str]:
    """Return the addresses that a browser fetches to draw ``page``."""
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if name in {"src", "href"})

    Tags().feed(page)
    return [*found, *re.findall(r"\burl: '([^']*)'", page)]


def test_the_page_and_all_it_loads_come_from_here(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text
    kinds = {}
    for address in loaded(page.text):
        answer = client.get(urljoin("/docs", address))
        assert answer.status_code == 200, address
        assert answer.content
        kinds[address] = answer.headers["content-type"].split(";")[0]
    assert sorted(kinds.values()) == [
        "application/json",
        "image/png",
        "text/css",
        "text/javascript",
    ]


def test_the_script_reads_the_version_in_which_the_api_is_described(client: httpx.Client) -> None:
    script = client.get("/docs/files/swagger-ui-bundle.js").text
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert 'PACKAGE_VERSION:"5.' in script  # 4 reads no more than OpenAPI 3.0


def test_styles_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    styles = client.get("/docs/files/swagger-ui.css").text
    assert all(one.startswith("data:") for one in re.findall(r"url\([\"']?([^)]{5})", styles))
    assert "@import" not in styles


def test_trying_it_out_asks_this_server_and_may(client: httpx.Client) -> None:
    assert "servers" not in client.get("/openapi.json").json()
    headers = {"sec-fetch-site": "same-origin", "referer": "http://malgil/docs"}
    assert_problem(client.post("/v1/aliases/bot/rollback", headers=headers), 404)


def test_a_file_that_is_not_there_is_a_problem(client: httpx.Client) -> None:
    assert_problem(client.get("/docs/files/nothing.js"), 404)
