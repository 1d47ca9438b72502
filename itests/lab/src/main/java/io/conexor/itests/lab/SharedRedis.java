package io.conexor.itests.lab;

import io.conexor.api.redis.RedisEndpoints;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * One installation per topology for all test classes of a run, started when the first asks for it
 * and stopped at the end of the run. Before each test what an earlier one broke is mended.
 *
 * <pre>{@code
 * @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.SENTINEL);
 * }</pre>
 */
public final class SharedRedis implements BeforeAllCallback, BeforeEachCallback {

  private static final Namespace NAMESPACE = Namespace.create(SharedRedis.class);

  private final RedisEndpoints.Mode mode;
  private final Duration detection;
  private @Nullable RedisLab lab;

  /** A silent server counts as down after a second. */
  public SharedRedis(RedisEndpoints.Mode mode) {
    this(mode, Duration.ofSeconds(1));
  }

  private SharedRedis(RedisEndpoints.Mode mode, Duration detection) {
    this.mode = mode;
    this.detection = detection;
  }

  /** For tests that break nothing: a busy machine does not make it fail over. */
  public static SharedRedis calm(RedisEndpoints.Mode mode) {
    return new SharedRedis(mode, Duration.ofSeconds(20));
  }

  public RedisLab lab() {
    if (lab == null) {
      throw new IllegalStateException("register it as a static extension");
    }
    return lab;
  }

  /** Closes with the run. */
  private record Held(RedisLab lab) implements ExtensionContext.Store.CloseableResource {
    @Override
    public void close() {
      lab.close();
    }
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    lab =
        context
            .getRoot()
            .getStore(NAMESPACE)
            .getOrComputeIfAbsent(mode, key -> new Held(RedisLab.start(key)), Held.class)
            .lab();
    beforeEach(context);
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    lab().mend(Duration.ofSeconds(40));
    lab().detectAfter(detection);
  }
}
