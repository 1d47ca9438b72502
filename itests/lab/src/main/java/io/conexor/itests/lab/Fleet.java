package io.conexor.itests.lab;

import io.conexor.api.database.LocalPostgres;
import io.conexor.api.redis.RedisEndpoints.Mode;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Several backends from the built distribution on one PostgreSQL and one Redis, behind HAProxy
 * without stickiness. They start one after the other with the first (which migrates the tables),
 * and then side by side.
 *
 * <pre>{@code
 * try (Fleet fleet = Fleet.of(3, redis.lab()).start()) {
 *   Tenant tenant = fleet.setUp("acme");
 * }
 * }</pre>
 */
public final class Fleet implements AutoCloseable {

  private final LocalPostgres state;
  private final List<Backend> backends = new ArrayList<>();
  private final HaProxy balancer;

  /** Collects settings. */
  public static final class Builder {
    private final int size;
    private final RedisLab redis;
    private final List<String[]> settings = new ArrayList<>();
    private String[] rules = {};
    private String jvm = "";
    private @Nullable UnaryOperator<String> shipped;
    private @Nullable Extension extension;

    private Builder(int size, RedisLab redis) {
      this.size = size;
      this.redis = redis;
    }

    /** A key as in {@code conexor.properties}, for every backend. */
    public Builder set(String key, String value) {
      settings.add(new String[] {key, value});
      return this;
    }

    /** Gives the addresses of another installation, for a swap. */
    public Builder knows(RedisLab other) {
      other.endpoints().master().ifPresent(name -> set("redis.sentinel.master", name));
      return set(addressesKey(other.mode()), addresses(other));
    }

    /** Further lines for the balancer. */
    public Builder rules(String... lines) {
      rules = lines;
      return this;
    }

    /**
     * Puts the balancer's configuration that the archive ships in front, instead of the lab's own;
     * a drain gives it the time to notice that it needs.
     *
     * @param change what a test changes in it
     */
    public Builder shippedBalancer(UnaryOperator<String> change) {
      shipped = change;
      return set("http.drain.notice.ms", "1500");
    }

    /** JVM options for every backend, instead of a heap of 256 MB. */
    public Builder jvm(String options) {
      jvm = options;
      return this;
    }

    /** Adds the feature of an extension to every backend. */
    public Builder with(Extension further) {
      extension = further;
      return this;
    }

    /** Starts everything and returns when every backend is ready. */
    public Fleet start() {
      return new Fleet(this);
    }
  }

  private Fleet(Builder plan) {
    state = LocalPostgres.start();
    try {
      backends.add(backend(plan, 0).start());
      List<CompletableFuture<Backend>> others = new ArrayList<>();
      for (int i = 1; i < plan.size; i++) {
        Backend.Builder next = backend(plan, i);
        others.add(CompletableFuture.supplyAsync(next::start));
      }
      others.forEach(each -> backends.add(each.join()));
      List<Integer> ports = backends.stream().map(Backend::port).toList();
      UnaryOperator<String> change = plan.shipped;
      balancer =
          change == null ? HaProxy.before(ports, plan.rules) : HaProxy.shipped(ports, change);
    } catch (RuntimeException e) {
      backends.forEach(Backend::close);
      state.close();
      throw e;
    }
  }

  /** A plan for so many backends on this Redis. */
  public static Builder of(int size, RedisLab redis) {
    return new Builder(size, redis).knows(redis);
  }

  private Backend.Builder backend(Builder plan, int number) {
    Backend.Builder builder =
        Backend.on(state)
            .named("backend-" + number)
            .features(
                "server-core",
                "postgres",
                "redis-" + plan.redis.mode().name().toLowerCase(java.util.Locale.ROOT));
    if (!plan.jvm.isEmpty()) {
      builder.jvm(plan.jvm);
    }
    if (plan.extension != null) {
      builder.with(plan.extension);
    }
    plan.settings.forEach(each -> builder.set(each[0], each[1]));
    return builder;
  }

  private static String addressesKey(Mode mode) {
    return switch (mode) {
      case STANDALONE -> "redis.standalone.addresses";
      case SENTINEL -> "redis.sentinel.addresses";
      case CLUSTER -> "redis.cluster.addresses";
    };
  }

  static String addresses(RedisLab redis) {
    return redis.endpoints().addresses().stream()
        .map(URI::toString)
        .collect(Collectors.joining(", "));
  }

  /** The database of the control plane. */
  public LocalPostgres state() {
    return state;
  }

  public List<Backend> backends() {
    return backends;
  }

  /** Where clients go. */
  public String url() {
    return balancer.url();
  }

  /** Where clients go, for a relay in between. */
  public int balancerPort() {
    return balancer.port();
  }

  /** First-run set-up; the tenant talks to the balancer. */
  public Tenant setUp(String organisation) {
    return backends.get(0).setUp(organisation).at(url());
  }

  /**
   * One more organisation, with an administrator of its own. There is no request that makes one, so
   * this writes it into the tables.
   */
  public Tenant another(String organisation) {
    String email = organisation + "@example.org";
    state.executeAsSuperuser(
        "insert into organisations (id, slug, name) values (gen_random_uuid(), '%1$s', '%1$s');"
                .formatted(organisation)
            + "insert into users (id, org, email, role, password_hash) select gen_random_uuid(), o.id,"
            + " '%s', 'ADMIN', u.password_hash from organisations o, users u where o.slug = '%s' and u.email = '%s'"
                .formatted(email, organisation, Tenant.EMAIL));
    return Tenant.signIn(backends.get(0).url(), organisation, email).at(url());
  }

  @Override
  public void close() {
    balancer.close();
    backends.forEach(Backend::close);
    state.close();
  }
}
