package io.conexor.itests.lab;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.opentest4j.TestAbortedException;

/** Finds the programs the lab starts, and installs their Debian packages where it may. */
public final class Binaries {

  /** What a program comes with, and what else it needs. */
  private static final Map<String, String> PACKAGES =
      Map.ofEntries(
          Map.entry("redis-server", "redis-server"),
          Map.entry("redis-cli", "redis-tools"),
          Map.entry("redis-sentinel", "redis-sentinel"),
          Map.entry("haproxy", "haproxy"),
          Map.entry("node", "nodejs"),
          Map.entry("openssl", "openssl"),
          Map.entry("ip", "iproute2"),
          Map.entry("postgres", "postgresql-15"),
          Map.entry("patroni", "patroni python3-etcd"),
          Map.entry("etcd", "etcd-server"),
          Map.entry("etcdctl", "etcd-client"),
          Map.entry("pgbouncer", "pgbouncer"),
          Map.entry("repmgr", "repmgr postgresql-15-repmgr"));

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
    String path =
        System.getenv().getOrDefault("PATH", "")
            + ":/usr/sbin:/sbin:/usr/bin:/usr/lib/postgresql/15/bin";
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
      List<String> install =
          new ArrayList<>(List.of("apt-get", "install", "-y", "-q", "--no-install-recommends"));
      install.addAll(List.of(debianPackage.split(" ")));
      run(install.toArray(new String[0]));
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
