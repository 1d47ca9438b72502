package io.conexor.agent.executor;

import io.conexor.api.Secret;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Checked configuration of one data source. */
record SourceSettings(
    String name,
    String url,
    Dialect dialect,
    String user,
    Secret password,
    boolean isReadOnly,
    Set<String> functionsAllowed,
    long maxRows,
    long maxBytes,
    Duration maxTime,
    int workers,
    int maxQueued,
    Duration connectTimeout,
    Duration probeInterval,
    Set<String> schemas) {

  private static final Pattern NAME = Pattern.compile("[a-z0-9_-]{1,63}");
  private static final Pattern PASSWORD_IN_URL =
      Pattern.compile("(?i)([?&;:]password\\s*=)|(//[^/@]*:[^/@]*@)|(:thin:[^/@]+/[^@]+@)");

  static SourceSettings checked(@Nullable String pid, SourceConfig config) {
    String name = pid == null ? "" : pid.substring(pid.lastIndexOf('~') + 1);
    if (pid == null || pid.indexOf('~') < 0 || !NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          SourceConfig.PID
              + ": needs a name of 1 to 63 of a-z, 0-9, '_' and '-' behind a tilde, e.g. "
              + SourceConfig.PID
              + "~orders");
    }
    String url = config.url() == null ? "" : config.url().trim();
    Dialect dialect =
        Dialect.ofUrl(url)
            .orElseThrow(
                () ->
                    wrong(
                        name,
                        "url",
                        "has to begin with jdbc:postgresql:, jdbc:mysql:, jdbc:mariadb:,"
                            + " jdbc:sqlserver:, jdbc:oracle:, jdbc:sqlite: or jdbc:h2:"));
    if (PASSWORD_IN_URL.matcher(url).find()) {
      throw wrong(name, "url", "must not hold a password; put it into the key 'password'");
    }
    int concurrent = (int) number(name, "max.concurrent", config.max_concurrent(), 0, 256);
    return new SourceSettings(
        name,
        url,
        dialect,
        config.user() == null ? "" : config.user(),
        new Secret(config.password() == null ? "" : config.password()),
        config.read_only(),
        list(config.functions_allowed()),
        number(name, "max.rows", config.max_rows(), 1, 100_000_000),
        number(name, "max.bytes", config.max_bytes(), 65_536, 1_099_511_627_776L),
        Duration.ofMillis(number(name, "max.time.ms", config.max_time_ms(), 100, 3_600_000)),
        concurrent > 0 ? concurrent : 2 * Runtime.getRuntime().availableProcessors(),
        (int) number(name, "max.queued", config.max_queued(), 1, 100_000),
        Duration.ofMillis(
            number(name, "connect.timeout.ms", config.connect_timeout_ms(), 250, 60_000)),
        Duration.ofMillis(
            number(name, "probe.interval.ms", config.probe_interval_ms(), 200, 3_600_000)),
        list(config.schemas()));
  }

  /** The engine as the catalog names it. */
  String engine() {
    return switch (dialect) {
      case MYSQL -> url.toLowerCase(Locale.ROOT).startsWith("jdbc:mariadb:") ? "mariadb" : "mysql";
      default -> dialect.name().toLowerCase(Locale.ROOT);
    };
  }

  private static Set<String> list(String @Nullable [] values) {
    Set<String> set = new LinkedHashSet<>();
    if (values != null) {
      Arrays.stream(values).map(String::trim).filter(v -> !v.isEmpty()).forEach(set::add);
    }
    return set;
  }

  private static long number(String name, String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw wrong(name, key, "= %d is not within %d..%d".formatted(value, min, max));
    }
    return value;
  }

  private static IllegalArgumentException wrong(String name, String key, String what) {
    return new IllegalArgumentException(SourceConfig.PID + "~" + name + ": " + key + " " + what);
  }
}
