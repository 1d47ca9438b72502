package io.conexor.resume.redis;

/**
 * What runs inside Redis, each atomically. KEYS: the hash, the list; they carry the same hash tag.
 */
final class Scripts {

  private Scripts() {}

  /** Arguments of {@link #SAVE} before the messages. */
  static final int SAVE_HEADER = 8;

  /**
   * ARGV: owner, fence, whole (1 or 0), facts are given (1 or 0), facts, number of the first
   * message, acknowledged, time to live in ms, message, ... Answers {@code [0]} saved, {@code [1]}
   * behind, {@code [2]} taken.
   */
  static final String SAVE =
      """
      local fence = tonumber(ARGV[2])
      local have = redis.call('HMGET', KEYS[1], 'f', 'a')
      if have[1] and tonumber(have[1]) > fence then return {2} end
      local first = tonumber(ARGV[6])
      local at
      if ARGV[3] == '1' then
        redis.call('DEL', KEYS[1], KEYS[2])
        redis.call('HSET', KEYS[1], 'f', ARGV[2], 'o', ARGV[1], 'a', ARGV[6])
        at = first
      else
        if not have[1] or tonumber(have[1]) < fence then return {1} end
        at = tonumber(have[2])
        if #ARGV > 8 and at + redis.call('LLEN', KEYS[2]) ~= first then return {1} end
      end
      if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'd', ARGV[5]) end
      for i = 9, #ARGV, 100 do
        redis.call('RPUSH', KEYS[2], unpack(ARGV, i, math.min(i + 99, #ARGV)))
      end
      local drop = math.min(tonumber(ARGV[7]) - at + 1, redis.call('LLEN', KEYS[2]))
      if drop > 0 then
        redis.call('LTRIM', KEYS[2], drop, -1)
        redis.call('HSET', KEYS[1], 'a', string.format('%.0f', at + drop))
      end
      redis.call('PEXPIRE', KEYS[1], ARGV[8])
      redis.call('PEXPIRE', KEYS[2], ARGV[8])
      return {0}
      """;

  /**
   * ARGV: owner, time to live in ms. Answers fence, owner, facts, first, message, ... or nothing.
   */
  static final String TAKE_OVER =
      """
      if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
      redis.call('HINCRBY', KEYS[1], 'f', 1)
      redis.call('HSET', KEYS[1], 'o', ARGV[1])
      redis.call('PEXPIRE', KEYS[1], ARGV[2])
      redis.call('PEXPIRE', KEYS[2], ARGV[2])
      local h = redis.call('HMGET', KEYS[1], 'f', 'o', 'd', 'a')
      local out = {h[1], h[2], h[3] or '', h[4]}
      for _, message in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
        out[#out + 1] = message
      end
      return out
      """;

  /** Answers fence, owner, facts, first, or nothing. */
  static final String FIND =
      """
      local h = redis.call('HMGET', KEYS[1], 'f', 'o', 'd', 'a')
      if not h[1] then return {} end
      return {h[1], h[2], h[3] or '', h[4]}
      """;

  /** ARGV: fence. */
  static final String REMOVE =
      """
      local f = redis.call('HGET', KEYS[1], 'f')
      if f and tonumber(f) <= tonumber(ARGV[1]) then redis.call('DEL', KEYS[1], KEYS[2]) end
      return {}
      """;
}
