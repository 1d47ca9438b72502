package io.conexor.backplane.redis;

/** What runs inside Redis, each atomically; the keys of one script share a hash tag. */
final class Scripts {

  private Scripts() {}

  /**
   * KEYS: stream, head, writer. ARGV: 1 epoch for a new life, 2 node, 3 sequence, 4 number of
   * events, 5 body, 6 most events, 7 most bytes, 8 how ("" in turn, "force" even if earlier ones
   * are missing, "bump" also begin a new epoch), 9 bell, 10 command that rings it, 11 topic, 12
   * largest body to ring with.
   *
   * <p>Answers {@code [A, epoch, last]} appended, {@code [D, epoch, last]} appended before, or
   * {@code [M, sequence]} when batches after that one are missing: the tail was lost, and the
   * writer must append them again first.
   */
  static final String APPEND =
      """
      local seq = tonumber(ARGV[3])
      local w = redis.call('GET', KEYS[3])
      local stored = 0
      if w then
        local s, e, l = string.match(w, '^(%d+) (%S+) (%d+)$')
        stored = tonumber(s)
        if seq == stored then return {'D', e, l} end
        if seq < stored then return {'D', '', '0'} end
      end
      if seq > stored + 1 and ARGV[8] == '' then return {'M', tostring(stored)} end
      local h = redis.call('HMGET', KEYS[2], 'e', 'o', 'l', 'b', 'c')
      local epoch = h[1] or ARGV[1]
      if ARGV[8] == 'bump' then epoch = ARGV[1] end
      local first = tonumber(h[2] or '0') + 1
      local last = first + tonumber(ARGV[4]) - 1
      local prev = h[3] or ''
      local total = tonumber(h[4] or '0') + #ARGV[5]
      local checked = tonumber(h[5] or '0')
      local id = ARGV[2] .. ':' .. ARGV[3]
      local l = string.format('%.0f', last)
      local f = string.format('%.0f', first)
      local oldest = last - tonumber(ARGV[6]) + 1
      if oldest < 1 then oldest = 1 end
      redis.call('XADD', KEYS[1], 'MINID', '=', string.format('%.0f', oldest) .. '-0', l .. '-0',
          'e', epoch, 'f', f, 'p', prev, 'i', id, 't', string.format('%.0f', total), 'b', ARGV[5])
      local most = tonumber(ARGV[7])
      if total - checked > most / 8 then
        local done = false
        for round = 1, 50 do
          local entries = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 50)
          local keep
          for i = 1, #entries do
            if total - tonumber(entries[i][2][10]) < most or entries[i][1] == l .. '-0' then
              keep = entries[i][1]
              done = true
              break
            end
            keep = entries[i][1]
          end
          redis.call('XTRIM', KEYS[1], 'MINID', '=', keep)
          if done or #entries < 50 then break end
        end
        checked = total
      end
      redis.call('HSET', KEYS[2], 'e', epoch, 'o', l, 'l', epoch .. '/' .. id,
          'b', string.format('%.0f', total), 'c', string.format('%.0f', checked))
      redis.call('SET', KEYS[3], ARGV[3] .. ' ' .. epoch .. ' ' .. l, 'EX', 604800)
      local flag, body = '1', ARGV[5]
      if #body > tonumber(ARGV[12]) then flag, body = '0', '' end
      redis.call(ARGV[10], ARGV[9], ARGV[11] .. '\\n' .. epoch .. '\\n' .. f .. '\\n' .. l .. '\\n'
          .. prev .. '\\n' .. id .. '\\n' .. flag .. '\\n' .. body)
      return {'A', epoch, l}
      """;

  /**
   * KEYS: stream, head. ARGV: offset to read after, or "" for the head alone; most bytes. Answers
   * {@code [epoch, last, id of the last batch, (epoch, first, last, previous, id, body)...]}.
   */
  static final String READ =
      """
      local h = redis.call('HMGET', KEYS[2], 'e', 'o', 'l')
      local out = {h[1] or '', h[2] or '0', h[3] or ''}
      if ARGV[1] == '' then return out end
      local most, bytes = tonumber(ARGV[2]), 0
      local from = '(' .. ARGV[1] .. '-0'
      while true do
        local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 32)
        for i = 1, #entries do
          local v = entries[i][2]
          out[#out + 1] = v[2]
          out[#out + 1] = v[4]
          out[#out + 1] = string.match(entries[i][1], '^(%d+)')
          out[#out + 1] = v[6]
          out[#out + 1] = v[8]
          out[#out + 1] = v[12]
          bytes = bytes + #v[12]
          if bytes > most then return out end
        end
        if #entries < 32 then return out end
        from = '(' .. entries[#entries][1]
      end
      """;

  static final int READ_HEADER = 3;

  /** KEYS: writer. Answers the sequence stored, as {@code [sequence]}. */
  static final String WRITTEN =
      """
      local w = redis.call('GET', KEYS[1])
      return {w and string.match(w, '^(%d+)') or '0'}
      """;
}
