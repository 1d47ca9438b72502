package io.conexor.backplane.redis;

/** What runs inside Redis, each atomically; the keys of one script share a hash tag. */
final class Scripts {

  private Scripts() {}

  /**
   * KEYS: stream, head. ARGV: 1 epoch for a new life, 2 node, 3 sequence, 4 number of events, 5
   * body, 6 most events, 7 most bytes, 8 how ("" in turn, "force" even if earlier ones are missing,
   * "bump" also begin a new epoch), 9 bell, 10 command that rings it, 11 topic, 12 largest body to
   * ring with.
   *
   * <p>The head's field l is the chain so far, see {@link Batch#chain}.
   *
   * <p>Answers {@code [A, epoch, last]} appended, {@code [D, epoch, last]} appended before, or
   * {@code [M, sequence]} when batches after that one are missing: the tail was lost, and the
   * writer must append them again first. Numbers stay below 1e14, which Lua prints in full.
   */
  static final String APPEND =
      """
      local call, node, body = redis.call, ARGV[2], ARGV[5]
      local seq = tonumber(ARGV[3])
      local h = call('HMGET', KEYS[2], 'e', 'o', 'l', 'b', 'c', node)
      local stored = 0
      if h[6] then
        local s, e, l = string.match(h[6], '^(%d+) (%S+) (%d+)$')
        stored = tonumber(s)
        if seq == stored then return {'D', e, l} end
        if seq < stored then return {'D', '', '0'} end
      end
      local how = ARGV[8]
      if seq > stored + 1 and how == '' then return {'M', tostring(stored)} end
      local epoch = h[1] or ARGV[1]
      if how == 'bump' then epoch = ARGV[1] end
      -- numbers become text once, not each time they are passed on
      local before = tonumber(h[2] or '0')
      local last = tostring(before + tonumber(ARGV[4]))
      local first = tostring(before + 1)
      local prev = h[3] or ''
      local total = tonumber(h[4] or '0') + #body
      local bytes = tostring(total)
      local checked = h[5] or '0'
      local id = node .. ':' .. ARGV[3]
      local oldest = before + tonumber(ARGV[4]) - tonumber(ARGV[6]) + 1
      if oldest > 1 then
        call('XADD', KEYS[1], 'MINID', '=', tostring(oldest), last,
            'e', epoch, 'f', first, 'p', prev, 'i', id, 't', bytes, 'b', body)
      else
        call('XADD', KEYS[1], last,
            'e', epoch, 'f', first, 'p', prev, 'i', id, 't', bytes, 'b', body)
      end
      local most = tonumber(ARGV[7])
      if total - tonumber(checked) > most / 8 then
        local done = false
        for round = 1, 50 do
          local entries = call('XRANGE', KEYS[1], '-', '+', 'COUNT', 50)
          local keep
          for i = 1, #entries do
            keep = entries[i][1]
            if total - tonumber(entries[i][2][10]) < most or keep == last .. '-0' then
              done = true
              break
            end
          end
          call('XTRIM', KEYS[1], 'MINID', '=', keep)
          if done or #entries < 50 then break end
        end
        checked = bytes
      end
      local chain = redis.sha1hex(prev .. '/' .. epoch .. '/' .. id)
      call('HSET', KEYS[2], 'e', epoch, 'o', last, 'l', chain, 'b', bytes,
          'c', checked, node, ARGV[3] .. ' ' .. epoch .. ' ' .. last)
      if stored == 0 and call('HLEN', KEYS[2]) > 1000 then
        for _, field in ipairs(call('HKEYS', KEYS[2])) do
          if #field > 1 and field ~= node then call('HDEL', KEYS[2], field) end
        end
      end
      local flag = '1'
      if #body > tonumber(ARGV[12]) then flag, body = '0', '' end
      -- subscribers are on the primary, so replicas need not carry what rings the bell
      redis.set_repl(redis.REPL_NONE)
      call(ARGV[10], ARGV[9],
          table.concat({ARGV[11], epoch, first, last, prev, id, flag, body}, '\\n'))
      return {'A', epoch, last}
      """;

  /**
   * KEYS: stream, head. ARGV: offset to read after, or "" for the head alone; most bytes. Answers
   * {@code [epoch, last, chain, (epoch, first, last, previous, id, body)...]}.
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

  /** KEYS: head. ARGV: node. Answers the sequence stored, as {@code [sequence]}. */
  static final String WRITTEN =
      """
      local w = redis.call('HGET', KEYS[1], ARGV[1])
      return {w and string.match(w, '^(%d+)') or '0'}
      """;
}
