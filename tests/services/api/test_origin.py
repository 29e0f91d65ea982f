import pytest

from tests.services.api.test_errors import assert_problem


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_changes_nothing(client, site) -> None:
    headers = {"sec-fetch-site": site}
    answer = client.post("/v1/aliases/bot/rollback", headers=headers)
    assert_problem(answer, 403)
    assert client.get("/health", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}])
def test_programs_and_our_own_pages_may(client, headers) -> None:
    assert_problem(client.post("/v1/aliases/bot/rollback", headers=headers), 404)
