package io.conexor.runtime;

import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The command line of a server or an agent; the scripts in {@code bin/} add nothing but a JVM. */
public final class Main {

  private static final Logger log = LoggerFactory.getLogger(Main.class);

  private static final String HELP =
      """
      usage: %1$s COMMAND [--config FILE] [--set KEY=VALUE ...]

        run       run in the foreground until SIGTERM or Ctrl-C, which drain first; a second one ends at once
        check     check the configuration and that everything needed is there; an agent also tries its
                  link, its key and each database, unless --offline is given
        stop      tell the process that uses the same data directory to drain and stop, and wait for it
        shell     open the management shell of that process; -c 'COMMAND' runs one and ends
        install-service [--print] [--user NAME] [--config FILE]
                  write a systemd unit for this installation, or only print it; uninstall-service removes it
        version   print the version
        help      print this

      The configuration file is etc/conexor.properties; every key can also be given by an environment
      variable (http.port: CONEXOR_HTTP_PORT). Heap and other JVM flags: JAVA_OPTS.
      """;

  private Main() {}

  public static void main(String[] args) {
    System.exit(run(args, System.getenv(), System.out, System.err));
  }

  static int run(String[] args, Map<String, String> environment, PrintStream out, PrintStream err) {
    String program = System.getProperty("conexor.program", "conexor");
    List<String> arguments = new ArrayList<>(Arrays.asList(args));
    String command = arguments.isEmpty() ? "help" : arguments.remove(0);
    try {
      return switch (command) {
        case "run" -> serve(plan(arguments, environment));
        case "check" -> check(arguments, environment, out);
        case "shell" ->
            ShellClient.run(
                arguments, remaining -> plan(remaining, environment).settings().dataDirectory());
        case "stop" -> Stop.run(plan(arguments, environment).settings(), out);
        case "install-service" -> Service.install(arguments, program, home(environment), out);
        case "uninstall-service" -> Service.uninstall(arguments, program, out);
        case "version", "--version" -> {
          out.println(version());
          yield 0;
        }
        case "help", "--help", "-h" -> {
          out.printf(HELP, program);
          yield 0;
        }
        default -> {
          err.printf(
              "%s: there is no command '%s'%n%n" + HELP.replace("%1$s", "%1$s"), program, command);
          yield 2;
        }
      };
    } catch (LaunchException e) {
      err.println(program + ": " + e.getMessage());
      return 1;
    }
  }

  private static String version() {
    String version = Main.class.getPackage().getImplementationVersion();
    return version == null ? "unknown" : version;
  }

  private static Path home(Map<String, String> environment) {
    return Path.of(
            System.getProperty("conexor.home", environment.getOrDefault("CONEXOR_HOME", ".")))
        .toAbsolutePath()
        .normalize();
  }

  private static Plan plan(List<String> arguments, Map<String, String> environment) {
    Asked asked = asked(arguments, environment);
    return new Plan(asked.places(), environment, asked.set());
  }

  /** What the options of a command come down to. */
  private record Asked(Places places, Map<String, String> set) {}

  private static Asked asked(List<String> arguments, Map<String, String> environment) {
    String features = System.getProperty("conexor.features", "");
    Places places =
        Places.below(
            home(environment),
            features.isEmpty() ? List.of() : List.of(features.split("\\s*,\\s*")));
    @Nullable String configured = environment.get("CONEXOR_CONFIG");
    if (configured != null) {
      places = existing(places, configured);
    }
    Map<String, String> set = new LinkedHashMap<>();
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (i + 1 == arguments.size() || !List.of("--config", "--set").contains(argument)) {
        throw new LaunchException("'" + argument + "' is not understood; try help");
      }
      String value = arguments.get(++i);
      if (argument.equals("--config")) {
        places = existing(places, value);
      } else {
        String[] pair = value.split("=", 2);
        if (pair.length != 2) {
          throw new LaunchException("--set " + value + ": not of the form KEY=VALUE");
        }
        set.put(pair[0].trim(), pair[1].trim());
      }
    }
    return new Asked(places, set);
  }

  private static Places existing(Places places, String file) {
    if (!java.nio.file.Files.isReadable(Path.of(file))) {
      throw new LaunchException("cannot read the configuration file " + file);
    }
    return places.withConfiguration(Path.of(file));
  }

  private static int check(
      List<String> arguments, Map<String, String> environment, PrintStream out) {
    boolean isOffline = arguments.remove("--offline");
    Asked asked = asked(arguments, environment);
    Plan plan = new Plan(asked.places(), environment, asked.set());
    Logging.quiet();
    Launch.check(plan);
    Composition composition = plan.composition();
    out.printf(
        "ok: %d bundles of %s resolve, and the configuration is valid%n",
        composition.bundles().size(), composition.features().stream().map(Feature::name).toList());
    boolean isAgent = composition.features().stream().anyMatch(f -> f.name().equals("agent"));
    return isAgent && !isOffline
        ? AgentCheck.run(asked.places(), environment, asked.set(), out)
        : 0;
  }

  private static int serve(Plan plan) {
    Logging.configure(plan.settings());
    plan.unknownEnvironment().forEach(v -> log.warn("ignored the environment variable {}", v));
    CountDownLatch stop = new CountDownLatch(1);
    Signals.onStop(stop::countDown);
    try (Stop.ProcessFile ignored = Stop.ProcessFile.write(plan.settings())) {
      Launch launch = Launch.start(plan);
      Thread reporter =
          new Thread(() -> reportReadiness(launch, plan), "conexor-runtime-readiness");
      reporter.setDaemon(true);
      reporter.start();
      try (Reload unused = Reload.every(plan.settings().reloadInterval(), launch)) {
        stop.await();
      }
      log.info("stopping: draining for at most {}", plan.settings().drainTimeout());
      launch.stop();
      log.info("stopped");
      return 0;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 1;
    }
  }

  private static void reportReadiness(Launch launch, Plan plan) {
    try {
      List<String> missing = launch.awaitReady(plan.settings().readyTimeout());
      if (!missing.isEmpty()) {
        log.warn(
            "not ready after {}:\n  {}",
            plan.settings().readyTimeout(),
            String.join("\n  ", missing));
        missing = launch.awaitReady(Duration.ofDays(1));
      }
      if (missing.isEmpty()) {
        log.info(
            "ready {} ms after the start of the JVM: {} bundles of {}",
            ProcessHandle.current()
                .info()
                .startInstant()
                .map(start -> Duration.between(start, Instant.now()).toMillis())
                .orElse(-1L),
            launch.bundles().size(),
            launch.activeFeatures());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IllegalStateException e) {
      // The framework was stopped while we asked it.
      log.debug("stopped before it was ready", e);
    }
  }
}
