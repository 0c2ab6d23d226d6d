"""The state that several instances share in Redis: whether it is usable, and the Lua scripts that change it.

Redis runs a script in one step. A script that gives a lock returns `lost` if the server, or its state, is not the one
that the caller joined. A conversation is a hash: `h` holds its lock until `u` (milliseconds of Redis' clock); `p` is
the position of the newest event, `w` its content and `a` its response. A message id is also a hash: `d` is the
digest of its body.
"""

import asyncio
import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from reconciler.endpoint.conversations import LockUnavailableError
from reconciler.endpoint.redis.connection import Argument, Command, RedisConnection, RedisUnavailableError

LOCK_MILLISECONDS: Final = 7_000  # lifetime of a lock: a request's deadline, and a reserve for dead instances
_BATCH: Final = 100  # conversations, or ids, in one command
_FIRST_PAUSE: Final = 0.005
_MAX_PAUSE: Final = 0.05  # seconds between two attempts to take a lock


class Script:
    """A script, and its name in Redis."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: tuple[str, ...], *arguments: Argument) -> Command:
        """Return the command that runs the script."""
        return "EVALSHA", self._name, len(keys), *keys, *arguments


_CHECK_GENERATION: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local settling = redis.call('PTTL', KEYS[2])
if settling > 0 then return {'settling', settling} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: generation, settling. ARGV: the server's run id, a new random word, milliseconds of a new grace period.
JOIN: Final = Script("""
local known = redis.call('GET', KEYS[1])
if not known or string.sub(known, 1, #ARGV[1]) ~= ARGV[1] then
  known = ARGV[1] .. ':' .. ARGV[2]
  redis.call('SET', KEYS[1], known)
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
end
return {known, math.max(redis.call('PTTL', KEYS[2]), 0)}
""")

# KEYS: generation, instances, hold. ARGV: generation, instance, milliseconds of a beat's life, of a hold here.
HEARTBEAT: Final = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local held = redis.call('PTTL', KEYS[3])
if tonumber(ARGV[4]) > held + 100 then
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
end
return {'beat', redis.call('ZCARD', KEYS[2]), math.max(held, 0)}
""")

# KEYS: generation, settling, conversation. ARGV: generation, holder, lifetimes of lock and state.
ACQUIRE: Final = Script(
    _CHECK_GENERATION
    + """
local state = redis.call('HMGET', KEYS[3], 'u', 'p', 'w', 'a')
if state[1] and tonumber(state[1]) > now then return {'held'} end
redis.call('HSET', KEYS[3], 'h', ARGV[2], 'u', now + ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {'yours', state[2], state[3], state[4]}
"""
)

# KEYS: conversation. ARGV: holder, lifetime; and position, content and response of a write.
RELEASE: Final = Script("""
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'h', 'u')
if ARGV[3] then redis.call('HSET', KEYS[1], 'p', ARGV[3], 'w', ARGV[4], 'a', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")

# KEYS: conversation. ARGV: lifetime, the position before; position, content and response of the write.
CONFIRM: Final = Script("""
if (redis.call('HGET', KEYS[1], 'p') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'p', ARGV[3], 'w', ARGV[4], 'a', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
""")

# KEYS: conversations. ARGV, for each: lifetime, position, content, response.
# Compares texts by their bytes: Lua's own comparison depends on the server's locale.
RESTORE_EVENTS: Final = Script("""
local function newer(one, other)
  for at = 1, math.min(#one, #other) do
    local left, right = string.byte(one, at), string.byte(other, at)
    if left ~= right then return left > right end
  end
  return #one > #other
end
for number, key in ipairs(KEYS) do
  local at = (number - 1) * 4
  local place = redis.call('HGET', key, 'p')
  if not place or newer(ARGV[at + 2], place) then
    redis.call('HSET', key, 'p', ARGV[at + 2], 'w', ARGV[at + 3], 'a', ARGV[at + 4])
    redis.call('PEXPIRE', key, ARGV[at + 1])
  end
end
return {'learnt'}
""")

# KEYS: generation, settling, id. ARGV: generation, holder, lifetimes of lock and state; digest.
CLAIM: Final = Script(
    _CHECK_GENERATION
    + """
local state = redis.call('HMGET', KEYS[3], 'd', 'a', 'u')
if state[1] and state[1] ~= ARGV[5] then return {'conflict'} end
if state[2] then return {'known', state[2]} end
if state[3] and tonumber(state[3]) > now then return {'held'} end
redis.call('HSET', KEYS[3], 'd', ARGV[5], 'h', ARGV[2], 'u', now + ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {'yours'}
"""
)

# KEYS: id. ARGV: holder, lifetime, and the response unless it is retryable.
COMPLETE: Final = Script("""
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[1] then return 0 end
if ARGV[3] then
  redis.call('HSET', KEYS[1], 'a', ARGV[3])
  redis.call('HDEL', KEYS[1], 'h', 'u')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
""")

# KEYS: ids. ARGV, for each: lifetime, digest, response.
RESTORE_IDS: Final = Script("""
for number, key in ipairs(KEYS) do
  local at = (number - 1) * 3
  if not redis.call('HGET', key, 'a') then
    redis.call('HSET', key, 'd', ARGV[at + 2], 'a', ARGV[at + 3])
    redis.call('PEXPIRE', key, ARGV[at + 1])
  end
end
return {'recalled'}
""")

SCRIPTS: Final = (JOIN, HEARTBEAT, ACQUIRE, RELEASE, CONFIRM, RESTORE_EVENTS, CLAIM, COMPLETE, RESTORE_IDS)


class LockScripts(NamedTuple):
    """The scripts that take and release one kind of lock."""

    acquire: Script
    release: Script
    lifetime: int  # milliseconds for which Redis stores the state after its last change


class RedisState:
    """The state that this process shares through Redis. All keys begin with `prefix`."""

    def __init__(self, connect: Callable[[Callable[[str], object]], RedisConnection], prefix: str) -> None:
        self.connection = connect(self.mark_lost)
        self._prefix = prefix
        self.instance = secrets.token_hex(8)
        self._numbers = itertools.count()
        self.generation = b""
        self.is_joined = False  # this process may publish; other instances may still publish their state
        self.is_usable = False  # every state is published, and locks may be taken
        self.reason = "NotConnected"
        self.lost_event = asyncio.Event()
        # Of locks that Redis may have given, or may still give: a Redis that hung may still execute the commands.
        self._pending_releases: dict[str, tuple[LockScripts, str]] = {}

    def key(self, *parts: str) -> str:
        """Return a key's name in Redis."""
        return ":".join((self._prefix, *parts))

    def new_holder(self) -> str:
        """Return a unique name for a lock, so that a late release of an old lock has no effect."""
        return f"{self.instance}:{next(self._numbers)}"

    def mark_lost(self, reason: str) -> None:
        """Mark Redis as unusable until it is joined again."""
        self.is_joined = self.is_usable = False
        self.reason = reason
        self.lost_event.set()

    def check_usable(self) -> None:
        """Raise LockUnavailableError while Redis is unusable."""
        if not self.is_usable:
            raise LockUnavailableError("Redis is unavailable; nothing was written", "shared_away")

    async def acquire(self, lock: LockScripts, key: str, holder: str, *arguments: Argument) -> list[Any]:
        """Return the result of the script that takes a lock, once it is free. Raises LockUnavailableError."""
        try:
            return await self._acquire(lock.acquire, key, holder, LOCK_MILLISECONDS, lock.lifetime, *arguments)
        except LockUnavailableError:
            self._pending_releases[key] = lock, holder
            raise

    async def _acquire(self, script: Script, key: str, *arguments: Argument) -> list[Any]:
        pause = _FIRST_PAUSE
        keys = (self.key("generation"), self.key("settling"), key)
        while True:
            self.check_usable()
            try:
                result: list[Any] = await self.connection.call(*script.command(keys, self.generation, *arguments))
            except RedisUnavailableError as error:
                self.mark_lost(str(error))
                raise LockUnavailableError("Redis did not respond; nothing was written", "shared_away") from error
            if result[0] == b"lost":
                self.mark_lost("Forgotten")
            if result[0] in (b"lost", b"settling"):
                raise LockUnavailableError(
                    "the instances are synchronising their state; retry shortly", "shared_settling"
                )
            if result[0] != b"held":
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    async def release(self, lock: LockScripts, key: str, holder: str) -> None:
        """Release a lock without a result; if Redis is lost, when it is joined again."""
        if not await self.publish(lock.release, (key,), holder, lock.lifetime) and not self.is_joined:
            self._pending_releases[key] = lock, holder

    async def release_pending(self) -> None:
        """Release the locks that were not released before."""
        pending, self._pending_releases = self._pending_releases, {}
        for key, (lock, holder) in pending.items():
            await self.release(lock, key, holder)

    async def publish_all(self, script: Script, items: Iterable[tuple[str, Command]]) -> None:
        """Store known state in batches: keys, each with its arguments of the script."""
        remaining = iter(items)
        while batch := tuple(itertools.islice(remaining, _BATCH)):
            arguments = itertools.chain.from_iterable(arguments for _, arguments in batch)
            await self.publish(script, tuple(key for key, _ in batch), *arguments)

    async def publish(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> bool:
        """Run a script that releases a lock or stores known state; return whether Redis accepted it."""
        if not self.is_joined:
            return False
        try:
            return bool(await self.connection.call(*script.command(keys, *arguments)))
        except RedisUnavailableError as error:
            self.mark_lost(str(error))
            return False
