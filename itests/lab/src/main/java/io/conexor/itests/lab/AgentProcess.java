package io.conexor.itests.lab;

import io.conexor.api.database.LocalPostgres;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One agent.
 *
 * <pre>{@code
 * AgentProcess.of(backend.url(), agent)
 *     .source("shop", "jdbc:postgresql://127.0.0.1:" + shop.port() + "/shop", "reader")
 *     .start();
 * backend.awaitSources(tenant, "shop");
 * }</pre>
 */
public final class AgentProcess extends ProductProcess {

  /** Collects settings; the last value of a key counts. */
  public static final class Builder {
    private final Map<String, String> settings = new LinkedHashMap<>();
    private final String name;
    private String jvm = "-Xmx256m";

    private Builder(String url, Tenant.Agent agent) {
      name = agent.name();
      set("runtime.features", "agent, jdbc-postgresql");
      set("agent.link.backend.url", url);
      set("agent.link.key", agent.key());
      set("agent.link.name", agent.name());
      set("agent.link.backoff.initial.ms", "200");
      set("agent.link.backoff.max.ms", "1000");
    }

    /** A key as in {@code conexor.properties}. */
    public Builder set(String key, String value) {
      settings.put(key, value);
      return this;
    }

    /** Replaces the features given before. */
    public Builder features(String... names) {
      return set("runtime.features", String.join(", ", names));
    }

    public Builder source(String source, String jdbcUrl, String user) {
      set("agent.executor.source~" + source + ".url", jdbcUrl);
      return set("agent.executor.source~" + source + ".user", user);
    }

    /** Everything in the database, as its owner. */
    public Builder source(String source, LocalPostgres database) {
      return source(
          source, "jdbc:postgresql://127.0.0.1:" + database.port() + "/conexor", "conexor");
    }

    /** JVM options, instead of a heap of 256 MB. */
    public Builder jvm(String options) {
      jvm = options;
      return this;
    }

    /** Starts it; the backend tells when its sources are there. */
    public AgentProcess start() {
      AgentProcess agent = new AgentProcess(this);
      try {
        return agent.start();
      } catch (RuntimeException | Error e) {
        agent.close();
        throw e;
      }
    }
  }

  private AgentProcess(Builder builder) {
    super(builder.name, Distribution.AGENT.program(), builder.jvm, builder.settings);
  }

  /** An agent that dials this URL (a backend's, or a load balancer's) with this key. */
  public static Builder of(String url, Tenant.Agent agent) {
    return new Builder(url, agent);
  }

  /** Starts it, also again after it was killed. */
  public AgentProcess start() {
    launch();
    return this;
  }
}
