package io.conexor.redis.client;

import io.conexor.api.redis.RedisEndpoints;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.redisson.api.RedissonClient;

/**
 * One installation as this backend uses it: its connection, and the service that offers the client.
 * The service's properties tell consumers its role in a move. Safe for concurrent use.
 */
final class Installation {

  /** Set on a client that will be used later; consumers of clients leave it alone. */
  static final String JOINING = "conexor.joining";

  /** Set on a client that was used before and is about to go. */
  static final String LEAVING = "conexor.leaving";

  private final Bundle owner;
  private final String name;
  private final Map<String, Object> properties = new HashMap<>();

  // All guarded by this.
  private Roster.Stage stage = Roster.Stage.HERE;
  private @Nullable RedissonClient client;
  private @Nullable ServiceRegistration<RedissonClient> registration;

  Installation(
      RedisEndpoints endpoints, Bundle owner, Map<String, Object> described, boolean joins) {
    this.owner = owner;
    String mode = endpoints.mode().name().toLowerCase(Locale.ROOT);
    String addresses =
        endpoints.addresses().stream().map(ClientSettings::plain).collect(Collectors.joining(","));
    this.name = mode + " " + addresses;
    properties.put("redis.mode", mode);
    properties.put("redis.addresses", addresses);
    properties.put(Constants.SERVICE_RANKING, described.getOrDefault(Constants.SERVICE_RANKING, 0));
    if (joins) {
      properties.put(JOINING, true);
    }
  }

  String name() {
    return name;
  }

  boolean isOf(Bundle bundle) {
    return owner.equals(bundle);
  }

  synchronized boolean isJoining() {
    return properties.containsKey(JOINING);
  }

  synchronized @Nullable RedissonClient client() {
    return client;
  }

  synchronized Roster.Stage stage() {
    return stage;
  }

  synchronized void reach(Roster.Stage next) {
    stage = next;
  }

  /**
   * @return takes the offer back
   */
  synchronized Runnable offer(BundleContext context, RedissonClient connected) {
    client = connected;
    registration =
        context.registerService(
            RedissonClient.class, connected, FrameworkUtil.asDictionary(properties));
    return this::withdraw;
  }

  private synchronized void withdraw() {
    client = null;
    if (registration != null) {
      registration.unregister();
      registration = null;
    }
  }

  /** From here on consumers prefer another. */
  synchronized void becomeLeaving() {
    properties.put(LEAVING, true);
    publish();
  }

  /** From here on consumers prefer this one. */
  synchronized void becomeActive(Installation before) {
    properties.remove(JOINING);
    properties.put(Constants.SERVICE_RANKING, before.ranking() + 1);
    publish();
  }

  private synchronized int ranking() {
    return properties.get(Constants.SERVICE_RANKING) instanceof Integer value ? value : 0;
  }

  private void publish() {
    if (registration != null) {
      registration.setProperties(FrameworkUtil.asDictionary(properties));
    }
  }
}
