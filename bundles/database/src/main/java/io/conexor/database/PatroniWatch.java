package io.conexor.database;

import io.conexor.api.database.DatabaseEndpoints;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the Patroni of one node who it is. What it says is a reason to look, and a timeline nobody
 * of the servers in reach has shown yet; who takes writes is decided by what PostgreSQL says.
 */
final class PatroniWatch implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(PatroniWatch.class);

  private static final long INTERVAL_MILLIS = 500;
  private static final int ANSWER_BYTES = 64 << 10;
  private static final Pattern ROLE = Pattern.compile("\"role\"\\s*:\\s*\"(\\w+)\"");
  private static final Pattern TIMELINE = Pattern.compile("\"timeline\"\\s*:\\s*(\\d{1,9})");

  /**
   * The answer.
   *
   * @param timeline 0 = it does not say
   */
  record Said(String role, int timeline) {
    static Said of(String json) {
      Matcher role = ROLE.matcher(json);
      Matcher timeline = TIMELINE.matcher(json);
      return new Said(
          role.find() ? role.group(1) : "unknown",
          timeline.find() ? Integer.parseInt(timeline.group(1)) : 0);
    }

    /** Version 3 still calls it master. */
    boolean isPrimary() {
      return role.equals("primary") || role.equals("master");
    }

    @Override
    public String toString() {
      return role + (timeline == 0 ? "" : ", timeline " + timeline);
    }
  }

  private final DatabaseEndpoints.Endpoint at;
  private final int timeoutMillis;
  private final Consumer<Said> onChange;
  private final Semaphore closing = new Semaphore(0);
  private final Thread thread;
  private volatile Said said = new Said("not asked yet", 0); // written by the thread

  PatroniWatch(DatabaseEndpoints.Endpoint at, Settings settings, Consumer<Said> onChange) {
    this.at = at;
    this.timeoutMillis = (int) Math.max(1_000, settings.watchTimeout().toMillis());
    this.onChange = onChange;
    this.thread = new Thread(this::watch, "conexor-database-patroni-" + at);
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  DatabaseEndpoints.Endpoint at() {
    return at;
  }

  Said said() {
    return said;
  }

  private void watch() {
    while (true) {
      try {
        Said next = ask();
        if (!next.equals(said)) {
          log.info("Patroni at {}: {} -> {}", at, said, next);
          said = next;
          onChange.accept(next);
        }
      } catch (RuntimeException e) {
        // INVARIANT: this thread ends with the component only
        log.error("watching Patroni at {} failed; going on", at, e);
      }
      try {
        if (closing.tryAcquire(INTERVAL_MILLIS, TimeUnit.MILLISECONDS)) {
          return;
        }
      } catch (InterruptedException e) {
        log.debug("watch of Patroni at {} woken", at, e);
      }
    }
  }

  private Said ask() {
    try {
      HttpURLConnection connection =
          (HttpURLConnection) URI.create("http://" + at + "/patroni").toURL().openConnection();
      connection.setConnectTimeout(timeoutMillis);
      connection.setReadTimeout(timeoutMillis);
      try (InputStream answer =
          connection.getResponseCode() < 400
              ? connection.getInputStream()
              : connection.getErrorStream()) {
        return answer == null
            ? new Said("unknown", 0)
            : Said.of(new String(answer.readNBytes(ANSWER_BYTES), StandardCharsets.UTF_8));
      } finally {
        connection.disconnect();
      }
    } catch (IOException e) {
      log.debug("Patroni at {} does not answer", at, e);
      return new Said("silent", 0);
    }
  }

  @Override
  public void close() {
    closing.release();
  }
}
