"""A delivery worker that is stuck ends itself, and what it had taken is sent by the next one."""

import secrets
from datetime import UTC, datetime

import asyncpg

from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.integration.gateway_login.world import eventually


async def test_a_worker_whose_write_hangs_is_restarted_and_the_code_goes_out(story: Story, stack: Stack) -> None:
    mailbox, name = f"{secrets.token_hex(6)}@example.com", secrets.token_hex(6)
    body = {"username": name, "password": "quite long enough", "email": mailbox, "two_factor": {"email": True}}
    await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)
    worker, before = stack.child("delivery"), datetime.now(UTC)
    restarts, sign_in = worker.restarts, {"account": story.account, "username": name, "password": "quite long enough"}
    connection = await asyncpg.connect(stack.dsn("delivery"))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE deliveries IN EXCLUSIVE MODE")
            status, login = await story.api.call("gateway", "POST", "/v1/logins", sign_in, authenticated=False)
            assert status == 202
            await eventually(lambda: _restarted(worker, restarts), seconds=40)
    finally:
        await connection.close()
    assert "worker_stalled" in worker.log.read_text()
    await eventually(lambda: _is_ready(worker), seconds=60)
    code = await story.code_for(mailbox, "email", before)
    assert (await story.verify(login["login"], code))[0] == 200


async def _restarted(worker, restarts: int) -> bool:
    return bool(worker.restarts > restarts)


async def _is_ready(worker) -> bool:
    try:
        return bool(await worker.program.ready())
    except Exception:
        return False
