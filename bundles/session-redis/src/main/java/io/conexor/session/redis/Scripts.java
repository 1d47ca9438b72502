package io.conexor.session.redis;

/**
 * What runs inside Redis, each atomically. All keys of one script carry the same hash tag, so they
 * live on the same server of a cluster; README.md lists them.
 *
 * <p>A session is answered as {@code [remaining ms, field, value, ...]}, with nothing for the time
 * when its own fields are to tell it, a missing one as an empty list.
 */
final class Scripts {

  private Scripts() {}

  /**
   * KEYS: session, index. ARGV: id, ttl ms, most sessions, prefix of sessions, field, value, ...
   * Running it twice leaves what running it once left.
   */
  static final String CREATE =
      """
      local ttl = tonumber(ARGV[2])
      local t = redis.call('TIME')
      local now = t[1] * 1000 + math.floor(t[2] / 1000)
      if redis.call('EXISTS', KEYS[1]) == 0 then
        local fields = {'c', tostring(now), 't', ARGV[2], 'x', tostring(now + ttl)}
        for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
        for i = 1, #fields, 100 do
          redis.call('HSET', KEYS[1], unpack(fields, i, math.min(i + 99, #fields)))
        end
      end
      redis.call('PEXPIRE', KEYS[1], ttl)
      local score = t[1] * 1000000 + t[2]
      redis.call('ZADD', KEYS[2], 'NX', score, ARGV[1])
      local most = tonumber(ARGV[3])
      if redis.call('ZCARD', KEYS[2]) > most then
        for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
          if redis.call('EXISTS', ARGV[4] .. id) == 0 then redis.call('ZREM', KEYS[2], id) end
        end
        local over = redis.call('ZCARD', KEYS[2]) - most
        if over > 0 then
          for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do
            redis.call('DEL', ARGV[4] .. id)
            redis.call('ZREM', KEYS[2], id)
          end
        end
      end
      if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ttl) end
      local all = redis.call('HGETALL', KEYS[1])
      table.insert(all, 1, tostring(redis.call('PTTL', KEYS[1])))
      return all
      """;

  /** KEYS: session. ARGV: prefix of indexes. */
  static final String RENEW =
      """
      local f = redis.call('HMGET', KEYS[1], 't', 's')
      if not f[1] then return 0 end
      local ttl = tonumber(f[1])
      local t = redis.call('TIME')
      redis.call('HSET', KEYS[1], 'x', t[1] * 1000 + math.floor(t[2] / 1000) + ttl)
      redis.call('PEXPIRE', KEYS[1], ttl)
      local index = ARGV[1] .. f[2]
      if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
      return 1
      """;

  /**
   * KEYS: session. ARGV: most attributes, most bytes, number of removed, removed..., field, value,
   * ... Attributes are fields that start with {@code a:}; those that start with {@code a:max.} keep
   * the greater text. Answers {@code ["!", what]} when a limit would be passed.
   */
  static final String UPDATE =
      """
      local have = redis.call('HGETALL', KEYS[1])
      if #have == 0 then return {} end
      local firstSet = 4 + tonumber(ARGV[3])
      local other = {}
      for i = 4, firstSet - 1 do other[ARGV[i]] = true end
      for i = firstSet, #ARGV, 2 do other[ARGV[i]] = true end
      local grown = {}
      local all, n, count, bytes = {''}, 1, 0, 0
      for i = 1, #have, 2 do
        local field = have[i]
        if not other[field] then
          all[n + 1], all[n + 2] = field, have[i + 1]
          n = n + 2
          if string.sub(field, 1, 2) == 'a:' then
            count = count + 1
            bytes = bytes + #field - 2 + #have[i + 1]
          end
        elseif string.sub(field, 1, 6) == 'a:max.' then
          grown[field] = have[i + 1]
        end
      end
      for i = firstSet, #ARGV, 2 do
        local before = grown[ARGV[i]]
        if before and before > ARGV[i + 1] then ARGV[i + 1] = before end
        all[n + 1], all[n + 2] = ARGV[i], ARGV[i + 1]
        n = n + 2
        count = count + 1
        bytes = bytes + #ARGV[i] - 2 + #ARGV[i + 1]
      end
      if count > tonumber(ARGV[1]) then return {'!', count .. ' attributes'} end
      if bytes > tonumber(ARGV[2]) then return {'!', bytes .. ' bytes of attributes'} end
      if firstSet > 4 then redis.call('HDEL', KEYS[1], unpack(ARGV, 4, firstSet - 1)) end
      for i = firstSet, #ARGV, 100 do
        redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 99, #ARGV)))
      end
      return all
      """;

  /**
   * KEYS: old session, new session. ARGV: old id, new id, prefix of indexes. A repeated call finds
   * the new session and answers it again.
   */
  static final String ROTATE =
      """
      if redis.call('EXISTS', KEYS[1]) == 1 then
        local subject = redis.call('HGET', KEYS[1], 's')
        local index = ARGV[3] .. subject
        redis.call('RENAME', KEYS[1], KEYS[2])
        local score = redis.call('ZSCORE', index, ARGV[1])
        redis.call('ZREM', index, ARGV[1])
        redis.call('ZADD', index, score or 0, ARGV[2])
        local ttl = redis.call('PTTL', KEYS[2])
        if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
      end
      local all = redis.call('HGETALL', KEYS[2])
      if #all == 0 then return {} end
      table.insert(all, 1, tostring(redis.call('PTTL', KEYS[2])))
      return all
      """;

  /** KEYS: session. ARGV: id, prefix of indexes. */
  static final String REMOVE =
      """
      local subject = redis.call('HGET', KEYS[1], 's')
      if not subject then return 0 end
      redis.call('ZREM', ARGV[2] .. subject, ARGV[1])
      return redis.call('DEL', KEYS[1])
      """;

  /** KEYS: index. ARGV: excepted id or "", prefix of sessions. Answers how many ended. */
  static final String REMOVE_ALL =
      """
      local ended = 0
      for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        if id ~= ARGV[1] then
          ended = ended + redis.call('DEL', ARGV[2] .. id)
          redis.call('ZREM', KEYS[1], id)
        end
      end
      return ended
      """;

  /** KEYS: index. ARGV: prefix of sessions. Answers {@code [[id, remaining, field, ...], ...]}. */
  static final String LIST =
      """
      local found = {}
      for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        local all = redis.call('HGETALL', ARGV[1] .. id)
        if #all > 0 then
          table.insert(all, 1, tostring(redis.call('PTTL', ARGV[1] .. id)))
          table.insert(all, 1, id)
          found[#found + 1] = all
        end
      end
      return found
      """;

  /**
   * Takes a session out of use on its way to another installation; whoever comes meanwhile finds it
   * there too. KEYS: session, moving. ARGV: id, prefix of indexes. Answers {@code [place in the
   * index, remaining ms, field, value, ...]} or nothing.
   */
  static final String TAKE =
      """
      if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end
      local all = redis.call('HGETALL', KEYS[2])
      if #all == 0 then return {} end
      local subject = redis.call('HGET', KEYS[2], 's')
      table.insert(all, 1, tostring(redis.call('PTTL', KEYS[2])))
      table.insert(all, 1, redis.call('ZSCORE', ARGV[2] .. subject, ARGV[1]) or '0')
      return all
      """;

  /**
   * Puts down what was taken, unless it is here or has ended here. KEYS: session, index, ended.
   * ARGV: id, place in the index, remaining ms, field, value, ...
   */
  static final String PUT =
      """
      if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
      local ttl = tonumber(ARGV[3])
      if ttl < 1 then return 0 end
      for i = 4, #ARGV, 100 do
        redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 99, #ARGV)))
      end
      redis.call('PEXPIRE', KEYS[1], ttl)
      redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1])
      if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ttl) end
      return 1
      """;

  /** Forgets what was taken and put down elsewhere. KEYS: moving, index. ARGV: id. */
  static final String DROP =
      """
      redis.call('ZREM', KEYS[2], ARGV[1])
      return redis.call('DEL', KEYS[1])
      """;

  /** KEYS: ended. ARGV: milliseconds to remember it. */
  static final String MARK_ENDED =
      """
      redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
      return 1
      """;

  /** KEYS: index. */
  static final String IDS =
      """
      return redis.call('ZRANGE', KEYS[1], 0, -1)
      """;
}
