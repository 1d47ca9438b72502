package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.database.LocalPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One backend.
 *
 * <pre>{@code
 * try (LocalPostgres state = LocalPostgres.start();
 *     Backend backend = Backend.on(state).set("hub.heartbeat.interval.ms", "200").start()) {
 *   Tenant tenant = backend.setUp("acme");
 * }
 * }</pre>
 */
public final class Backend extends ProductProcess {

  private static final String FEATURES = "runtime.features";
  private static final HttpClient CLIENT =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(5))
          .build();

  /** Collects settings; the last value of a key counts. */
  public static final class Builder {
    private final Map<String, String> settings = new LinkedHashMap<>();
    private String name = "backend";
    private String jvm = "-Xmx256m";
    private @Nullable Extension extension;

    private Builder() {
      set("http.host", "127.0.0.1");
      set("http.port", "0");
      // A test does not wait for a load balancer to notice.
      set("http.drain.notice.ms", "0");
    }

    /** For logs. */
    public Builder named(String text) {
      name = text;
      return this;
    }

    /** A key as in {@code conexor.properties}. */
    public Builder set(String key, String value) {
      settings.put(key, value);
      return this;
    }

    /** Replaces the features given before. */
    public Builder features(String... names) {
      return set(FEATURES, String.join(", ", names));
    }

    /** JVM options, instead of a heap of 256 MB. */
    public Builder jvm(String options) {
      jvm = options;
      return this;
    }

    /** Adds the feature of an extension; call it after {@link #features}. */
    public Builder with(Extension further) {
      extension = further;
      return set(FEATURES, settings.get(FEATURES) + ", " + further.feature());
    }

    private Path program() {
      return extension == null ? Distribution.SERVER.program() : extension.program();
    }

    /** Starts it and returns when it is ready. */
    public Backend start() {
      Backend backend = new Backend(this);
      try {
        return backend.start();
      } catch (RuntimeException | Error e) {
        backend.close();
        throw e;
      }
    }
  }

  private final Path portFile;
  private int port;

  private Backend(Builder builder) {
    super(builder.name, builder.program(), builder.jvm, builder.settings);
    this.portFile = data().resolveSibling("port");
    put("http.port.file", portFile.toString());
  }

  /** A backend alone, with a PostgreSQL of its own that it starts itself. */
  public static Backend.Builder embedded() {
    return new Builder().features("server-core", "embedded");
  }

  /**
   * A backend on a PostgreSQL that several may share; sessions and backplane in memory, unless
   * {@link Builder#features} says otherwise ({@code server-core, postgres, redis-sentinel}).
   */
  public static Backend.Builder on(LocalPostgres state) {
    Builder builder = new Builder();
    builder.features("server-core", "memory", "postgres");
    builder.set("database.endpoints.servers", "127.0.0.1:" + state.port());
    return builder;
  }

  /** Starts it, also again after it was killed, then on the same port; returns when it is ready. */
  public Backend start() {
    launch();
    await("port", Duration.ofMinutes(2), this::knowsPort);
    await("readiness", Duration.ofMinutes(2), this::isReady);
    return this;
  }

  private boolean knowsPort() {
    try {
      String text = Files.exists(portFile) ? Files.readString(portFile).trim() : "";
      if (text.isEmpty()) {
        return false;
      }
      port = Integer.parseInt(text);
      // Who knew it should find it there after the next start.
      put("http.port", text);
      return true;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public int port() {
    return port;
  }

  /** {@code http://127.0.0.1:PORT}. */
  public String url() {
    return "http://127.0.0.1:" + port;
  }

  /** True while {@code /health/ready} says 200. */
  public boolean isReady() {
    try {
      return get("/health/ready").statusCode() == 200;
    } catch (UncheckedIOException e) {
      return false;
    }
  }

  /** One request without a credential. */
  public HttpResponse<String> get(String path) {
    return send(HttpRequest.newBuilder(URI.create(url() + path)));
  }

  static HttpResponse<String> send(HttpRequest.Builder request) {
    try {
      return CLIENT.send(
          request.timeout(Duration.ofMinutes(1)).build(), BodyHandlers.ofString(UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for an answer", e);
    }
  }

  /**
   * First-run set-up: an organisation, its administrator, and a token for scripts. Once per state.
   */
  public Tenant setUp(String organisation) {
    Path file = data().resolve("setup-token");
    await("set-up token", Duration.ofMinutes(1), () -> Files.exists(file));
    try {
      return Tenant.setUp(url(), Files.readString(file).trim(), organisation);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until this many links are shown for the agent by this backend. */
  public void awaitLinks(Tenant tenant, String agentId, int links) {
    await(
        links + " links of " + agentId,
        Duration.ofMinutes(3),
        () -> tenant.at(url()).get("/agents/" + agentId).path("links").size() >= links);
  }

  /** Waits until the sources are served, as this backend knows. */
  public void awaitSources(Tenant tenant, String... names) {
    for (String name : names) {
      await(
          "source " + name,
          Duration.ofMinutes(3),
          () -> {
            HttpResponse<String> answer = tenant.at(url()).call("GET", "/sources/" + name, null);
            return answer.statusCode() == 200 && answer.body().contains("\"status\":\"UP\"");
          });
    }
  }
}
