package io.conexor.itests.lab;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.opentest4j.TestAbortedException;

/** Finds the programs the lab starts, and installs their Debian packages where it may. */
public final class Binaries {

  private static final Map<String, String> PACKAGES =
      Map.of(
          "redis-server", "redis-server",
          "redis-cli", "redis-tools",
          "redis-sentinel", "redis-sentinel",
          "haproxy", "haproxy",
          "ip", "iproute2");

  private Binaries() {}

  /**
   * Returns the program's path.
   *
   * @throws TestAbortedException when it is missing and cannot be installed; under CI (the variable
   *     {@code CI} is set) that is an {@link IllegalStateException}, so a failure
   */
  public static synchronized Path require(String program) {
    Optional<Path> found = find(program);
    if (found.isEmpty() && "root".equals(System.getProperty("user.name"))) {
      install(PACKAGES.getOrDefault(program, program));
      found = find(program);
    }
    if (found.isPresent()) {
      return found.get();
    }
    String missing =
        "the program '"
            + program
            + "' is missing; apt-get install "
            + PACKAGES.getOrDefault(program, program);
    if (System.getenv("CI") != null) {
      throw new IllegalStateException(missing);
    }
    throw new TestAbortedException(missing);
  }

  private static Optional<Path> find(String program) {
    String path = System.getenv().getOrDefault("PATH", "") + ":/usr/sbin:/sbin:/usr/bin";
    for (String directory : path.split(File.pathSeparator)) {
      Path candidate = Path.of(directory, program);
      if (Files.isExecutable(candidate)) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }

  /** A policy that forbids it keeps the packages' own services from being started. */
  private static void install(String debianPackage) {
    Path policy = Path.of("/usr/sbin/policy-rc.d");
    boolean ours = !Files.exists(policy);
    try {
      if (ours) {
        Files.writeString(policy, "#!/bin/sh\nexit 101\n");
        if (!policy.toFile().setExecutable(true, false)) {
          return;
        }
      }
      run("apt-get", "update", "-q");
      run("apt-get", "install", "-y", "-q", "--no-install-recommends", debianPackage);
    } catch (IOException e) {
      // What is still missing is reported by name.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      if (ours) {
        try {
          Files.deleteIfExists(policy);
        } catch (IOException e) {
          // It only keeps services from starting.
        }
      }
    }
  }

  private static void run(String... command) throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("DEBIAN_FRONTEND", "noninteractive");
    builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
    Process process = builder.start();
    if (!process.waitFor(180, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
  }
}
