from pathlib import Path
from uuid import uuid4

from core.storage import aliases
from core.storage.tables import Checkpoint
from tests.services.api.files import bundle
from tests.services.api.rows import NOW, add_checkpoint
from tests.services.cli.conftest import Malgil, Server


def promoted(server: Server, name: str = "bot") -> Checkpoint:
    checkpoint = add_checkpoint(server.sessions)
    with server.sessions.begin() as session:
        aliases.promote(session, name, checkpoint.id, now=NOW)
    return checkpoint


def test_names_and_checkpoints_are_listed(server: Server, malgil: Malgil) -> None:
    checkpoint = promoted(server)
    assert str(checkpoint.id) in malgil("models", "list").out
    data = malgil("models", "list", "--json").data
    assert data["aliases"][0]["name"] == "bot"
    assert data["checkpoints"][0]["id"] == str(checkpoint.id)


def test_a_model_is_shown_by_name_or_id(server: Server, malgil: Malgil) -> None:
    checkpoint = promoted(server)
    by_name = malgil("models", "show", "bot", "--json").data
    by_id = malgil("models", "show", checkpoint.id, "--json").data
    assert by_name["checkpoint"] == by_id["checkpoint"]
    assert (by_name["alias"]["name"], by_id["alias"]) == ("bot", None)
    assert "cell gru" in malgil("models", "show", "bot").out
    assert malgil("models", "show", "nobody").code == 2
    assert malgil("models", "show", uuid4()).code == 2


def test_a_name_is_promoted_and_rolled_back_with_its_history(
    server: Server, malgil: Malgil
) -> None:
    first, second = add_checkpoint(server.sessions), add_checkpoint(server.sessions)
    assert malgil("models", "promote", "bot", first.id).code == 0
    assert str(second.id) in malgil("models", "promote", "bot", second.id).out
    assert str(first.id) in malgil("models", "rollback", "bot").out
    history = malgil("models", "history", "bot", "--json").data["data"]
    assert [one["action"] for one in history] == ["rollback", "promote", "promote"]
    assert malgil("models", "rollback", "bot").code == 2


def test_a_name_can_be_given_what_another_has(server: Server, malgil: Malgil) -> None:
    checkpoint = promoted(server, "try")
    malgil("models", "promote", "live", "try")
    shown = malgil("models", "show", "live", "--json").data
    assert shown["alias"]["checkpoint_id"] == str(checkpoint.id)


def test_a_model_goes_out_and_comes_in_again(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    there, back = tmp_path / "there.malgil", tmp_path / "back.malgil"
    there.write_bytes(bundle())
    ran = malgil("models", "import", there, "--promote-to", "bot")
    assert ran.code == 0
    assert "as bot" in ran.out
    assert malgil("models", "export", "bot", back).code == 0
    assert back.read_bytes() == there.read_bytes()


def test_a_file_that_is_there_is_not_overwritten_without_being_asked(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    file = tmp_path / "bot.malgil"
    file.write_bytes(bundle())
    malgil("models", "import", file, "--promote-to", "bot")
    file.write_text("mine")
    assert malgil("models", "export", "bot", file).code == 2
    assert file.read_text() == "mine"
    assert malgil("models", "export", "bot", file, "--force").code == 0
    assert file.read_bytes() == bundle()


def test_an_export_that_fails_leaves_no_file(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    promoted(server)  # its blob is not there
    assert malgil("models", "export", "bot", tmp_path / "bot.malgil").code != 0
    assert not list(tmp_path.glob("*bot.malgil*"))


def test_a_damaged_file_is_refused(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    file = tmp_path / "bot.malgil"
    file.write_bytes(bundle()[:40])
    ran = malgil("models", "import", file)
    assert ran.code == 2
    assert "Error: " in ran.err


def test_a_name_gives_kept_answers(server: Server, malgil: Malgil) -> None:
    promoted(server)
    ran = malgil("models", "kept", "bot", "--least", "0.9")
    assert (ran.code, ran.err) == (0, "")
    assert "alike by 0.9" in ran.out
    assert "least 0.9" in malgil("models", "show", "bot").out
    assert malgil("models", "kept", "bot", "--off", "--least", "0.9").code == 2
    assert malgil("models", "kept", "bot", "--off", "--json").data["kept"] is None
    assert malgil("models", "kept", "bot", "--json").data["kept"]["least"] == 0.85
    assert malgil("models", "kept", "nobody").code == 2
    assert malgil("models", "kept", "bot", "--document", "x").code == 2
