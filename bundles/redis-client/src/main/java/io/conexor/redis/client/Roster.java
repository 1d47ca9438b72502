package io.conexor.redis.client;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.redisson.api.RScript;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;

/**
 * Which backends use an installation, from heartbeats they leave in it. A move waits for all of
 * them. Safe for concurrent use; calls block for {@link #LIMIT} at most.
 */
final class Roster {

  /** How far a backend is in leaving the installation. */
  enum Stage {
    /** It uses this installation only. */
    HERE,
    /** It still works with this one and looks into the next one too. */
    BOTH,
    /** It works with the next one. */
    LEFT
  }

  /**
   * @param backends live ones by node id
   * @param leftFor what the installation was left for; empty while it is in use
   */
  record Facts(Map<String, Stage> backends, String leftFor) {}

  /** A backend that was silent for so long does not count. */
  static final Duration LIVE = Duration.ofSeconds(8);

  private static final Duration LIMIT = Duration.ofMillis(900);
  private static final Duration KEPT = Duration.ofHours(1);
  private static final String BACKENDS = "conexor:{backends}:here";
  static final String LEFT_FOR = "conexor:{backends}:left";

  private static final String BEAT =
      """
      local t = redis.call('TIME')
      local now = t[1] * 1000 + math.floor(t[2] / 1000)
      redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ':' .. ARGV[2])
      redis.call('PEXPIRE', KEYS[1], ARGV[4])
      local answer = {''}
      local here = 0
      local all = redis.call('HGETALL', KEYS[1])
      for i = 1, #all, 2 do
        local at, stage = string.match(all[i + 1], '^(%d+):(%a+)$')
        if at and now - tonumber(at) <= tonumber(ARGV[3]) then
          answer[#answer + 1] = all[i]
          answer[#answer + 1] = stage
          if stage == 'HERE' then here = here + 1 end
        else
          redis.call('HDEL', KEYS[1], all[i])
        end
      end
      if ARGV[5] ~= '' and ARGV[2] == 'BOTH' and here == 0 then
        redis.call('SET', KEYS[2], ARGV[5], 'NX', 'PX', ARGV[4])
      end
      answer[1] = redis.call('GET', KEYS[2]) or ''
      return answer
      """;

  private static final String WITHDRAW =
      """
      if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
      redis.call('HDEL', KEYS[1], ARGV[1])
      return 1
      """;

  private final String node;

  Roster(String node) {
    this.node = node;
  }

  /** Says that this backend lives, and how far it is, and learns the same of the others. */
  Facts beat(RedissonClient at, Stage stage) {
    return beat(at, stage, "");
  }

  /**
   * The same; and when every live backend has joined, leaves the mark, which says that all leave.
   *
   * @param leavesFor where they go
   */
  Facts beat(RedissonClient at, Stage stage, String leavesFor) {
    List<Object> answer =
        await(
            at.getScript(StringCodec.INSTANCE)
                .evalAsync(
                    RScript.Mode.READ_WRITE,
                    BEAT,
                    RScript.ReturnType.LIST,
                    List.of(BACKENDS, LEFT_FOR),
                    node,
                    stage.name(),
                    Long.toString(LIVE.toMillis()),
                    Long.toString(KEPT.toMillis()),
                    leavesFor));
    Map<String, Stage> backends = new TreeMap<>();
    for (int i = 1; i + 1 < answer.size(); i += 2) {
      backends.put(answer.get(i).toString(), Stage.valueOf(answer.get(i + 1).toString()));
    }
    return new Facts(backends, answer.get(0).toString());
  }

  /**
   * Takes back that this backend has joined.
   *
   * @return whether that was possible; not once all have joined
   */
  boolean withdraw(RedissonClient at) {
    Long done =
        await(
            at.getScript(StringCodec.INSTANCE)
                .evalAsync(
                    RScript.Mode.READ_WRITE,
                    WITHDRAW,
                    RScript.ReturnType.LONG,
                    List.of(BACKENDS, LEFT_FOR),
                    node));
    return done == 1;
  }

  void clearMark(RedissonClient at) {
    await(at.getBucket(LEFT_FOR, StringCodec.INSTANCE).deleteAsync());
  }

  private static <T> T await(CompletionStage<T> answer) {
    try {
      return answer.toCompletableFuture().get(LIMIT.toMillis(), MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while asking Redis which backends use it", e);
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException("Redis does not say which backends use it", e);
    }
  }
}
