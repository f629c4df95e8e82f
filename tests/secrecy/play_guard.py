"""Canaries in what is asked of the pumping guard: the beginning of somebody's numbers stands nowhere in clear."""

from tests.secrecy.play import Cast


async def play(cast: Cast) -> None:
    path = f"/v1/guard/{cast.account}"
    asked = {"prefix": cast.canaries.block("prefix"), "hours": 1}
    assert (await cast.api.expect(200, "delivery", "POST", f"{path}/allow", asked))["known"] is False
    seen = await cast.api.expect(200, "delivery", "GET", f"/v1/guard?account={cast.account}")
    assert f"{asked['prefix']}…" in [each["prefix"] for each in seen["prefixes"]]
    await cast.api.expect(400, "delivery", "POST", f"{path}/allow", {"prefix": cast.canaries.phone("prefix")})
