"""Lua scripts that Redis runs in one step.

A script that gives a lock returns `lost` if the server, or its state, is not the one that the caller joined. A
conversation is a hash: `h` holds its lock until `u` (milliseconds of Redis' clock); `p` is the position of the newest
event, `w` its content and `a` its response. A message id is one, too: `d` is the digest of its body.
"""

from __future__ import annotations

import hashlib
from typing import Final


class Script:
    """A script, and its name in Redis."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: tuple[str, ...], *arguments: str | bytes | int) -> tuple[str | bytes | int, ...]:
        """Return the command that runs the script."""
        return "EVALSHA", self._name, len(keys), *keys, *arguments


_CHECK_GENERATION: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local settling = redis.call('PTTL', KEYS[2])
if settling > 0 then return {'settling', settling} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

JOIN: Final = Script("""
local known = redis.call('GET', KEYS[1])
if not known or string.sub(known, 1, #ARGV[1]) ~= ARGV[1] then
  known = ARGV[1] .. ':' .. ARGV[2]
  redis.call('SET', KEYS[1], known)
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
end
return {known, math.max(redis.call('PTTL', KEYS[2]), 0)}
""")
"""KEYS: generation, settling. ARGV: the server's run id, a new word, milliseconds of a new grace period."""

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
"""KEYS: generation, instances, hold. ARGV: generation, instance, milliseconds of a beat's life, of a hold here."""

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
"""KEYS: generation, settling, conversation. ARGV: generation, holder, lifetimes of lock and state."""

RELEASE: Final = Script("""
if redis.call('HGET', KEYS[1], 'h') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'h', 'u')
if ARGV[3] then redis.call('HSET', KEYS[1], 'p', ARGV[3], 'w', ARGV[4], 'a', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")
"""KEYS: conversation. ARGV: holder, lifetime; and position, content and response of a write."""

CONFIRM: Final = Script("""
if (redis.call('HGET', KEYS[1], 'p') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'p', ARGV[3], 'w', ARGV[4], 'a', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
""")
"""KEYS: conversation. ARGV: lifetime, the position before; position, content and response of the write."""

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
"""KEYS: conversations. ARGV, for each: lifetime, position, content, response. Texts order by their bytes: Lua's
own comparison goes by the server's locale."""

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
"""KEYS: generation, settling, id. ARGV: generation, holder, lifetimes of lock and state; digest."""

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
"""KEYS: id. ARGV: holder, lifetime, and the response unless it is retryable."""

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
"""KEYS: ids. ARGV, for each: lifetime, digest, response."""

SCRIPTS: Final = (JOIN, HEARTBEAT, ACQUIRE, RELEASE, CONFIRM, RESTORE_EVENTS, CLAIM, COMPLETE, RESTORE_IDS)
