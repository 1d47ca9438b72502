package io.conexor.itests.lab;

import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** Changes of one attribute, one after the other, each counted. */
final class Clicks {

  private final Login login;
  private final String name;
  private final List<String> failures = new ArrayList<>();
  private int done;
  private volatile long longestMillis;
  private volatile boolean stopping;

  Clicks(Login login, String name) {
    this.login = login;
    this.name = name;
  }

  Clicks run(int count, Duration pause) {
    for (int i = 0; i < count; i++) {
      click(pause);
    }
    return this;
  }

  Clicks runUntilStopped(Duration pause) {
    while (!stopping) {
      click(pause);
    }
    return this;
  }

  void stop() {
    stopping = true;
  }

  private void click(Duration pause) {
    long start = System.nanoTime();
    String value = Integer.toString(done + 1);
    try {
      HttpResponse<String> answer = login.keep(name, value);
      if (answer.statusCode() != 200
          || !Tenant.parse(answer.body()).path(name).asString("").equals(value)) {
        failures.add(value + ": " + answer.statusCode() + " " + answer.body());
      }
    } catch (UncheckedIOException e) {
      failures.add(value + ": " + e.getMessage());
    }
    done++;
    longestMillis = Math.max(longestMillis, (System.nanoTime() - start) / 1_000_000);
    LockSupport.parkNanos(pause.toNanos());
  }

  Login login() {
    return login;
  }

  String name() {
    return name;
  }

  String last() {
    return Integer.toString(done);
  }

  long longestMillis() {
    return longestMillis;
  }

  List<String> failures() {
    return failures;
  }

  @Override
  public String toString() {
    return name
        + ": "
        + done
        + " done, "
        + failures.size()
        + " failed, longest "
        + longestMillis
        + " ms";
  }
}
