package io.conexor.runtime;

import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks now and then whether the configuration file, or the folder of dropped bundles, is another
 * one, and takes over what is new. A file that is not usable changes nothing, and the log says why.
 */
final class Reload implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Reload.class);

  private final Launch launch;
  private final ScheduledExecutorService clock;

  /** Both belong to the clock: as the last look found it, and as it is in use or was refused. */
  private String seen;

  private String taken;

  private Reload(Launch launch, ScheduledExecutorService clock) {
    this.launch = launch;
    this.clock = clock;
    this.seen = DroppedBundles.stamp(file());
    this.taken = seen;
  }

  /** Zero = never. */
  static Reload every(Duration interval, Launch launch) {
    ScheduledExecutorService clock =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-runtime-reload");
              thread.setDaemon(true);
              return thread;
            });
    Reload reload = new Reload(launch, clock);
    if (!interval.isZero()) {
      long millis = interval.toMillis();
      var unused =
          clock.scheduleWithFixedDelay(reload::look, millis, millis, TimeUnit.MILLISECONDS);
    }
    return reload;
  }

  private Path file() {
    return launch.plan().places().configuration();
  }

  private void look() {
    try {
      launch.dropped().look();
      lookAtFile();
    } catch (RuntimeException e) {
      log.error("a look at what has changed failed; the next one goes on", e);
    }
  }

  private void lookAtFile() {
    String now = DroppedBundles.stamp(file());
    boolean isWhole = now.equals(seen); // somebody may still be writing it
    seen = now;
    if (!isWhole || now.equals(taken)) {
      return;
    }
    taken = now;
    try {
      Plan before = launch.plan();
      launch.change().reconfigure(before.reread());
      log.info("the changed {} is in use", file());
      if (!before.settings().equals(launch.plan().settings())) {
        log.warn("changed keys runtime.* are seen at the next start");
      }
    } catch (LaunchException e) {
      log.error("the changed {} is not used: {}", file(), e.getMessage());
    }
  }

  @Override
  public void close() {
    clock.shutdownNow();
  }
}
