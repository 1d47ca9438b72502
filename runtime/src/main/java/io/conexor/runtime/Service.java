package io.conexor.runtime;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A systemd unit for this installation. */
final class Service {

  private static final Path UNITS = Path.of("/etc/systemd/system");

  private Service() {}

  /** {@code install-service [--print] [--user NAME] [--config FILE]}. */
  static int install(List<String> arguments, String program, Path home, PrintStream out) {
    return install(arguments, program, home, UNITS, out);
  }

  static int install(
      List<String> arguments, String program, Path home, Path units, PrintStream out) {
    boolean isPrinted = false;
    String user = "";
    String config = "";
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      boolean isLast = i + 1 == arguments.size();
      if (argument.equals("--print")) {
        isPrinted = true;
      } else if (argument.equals("--user") && !isLast) {
        user = arguments.get(++i);
      } else if (argument.equals("--config") && !isLast) {
        config = Path.of(arguments.get(++i)).toAbsolutePath().normalize().toString();
      } else {
        throw new LaunchException("'" + argument + "' is not understood; try help");
      }
    }
    String unit = unit(program, home, user, config);
    if (isPrinted) {
      out.print(unit);
      return 0;
    }
    Path file = units.resolve(program + ".service");
    try {
      Files.writeString(file, unit);
    } catch (IOException e) {
      throw new LaunchException(
          "cannot write " + file + " (" + e.getMessage() + "); run this as root, or use --print");
    }
    out.printf(
        "wrote %s; now: systemctl daemon-reload && systemctl enable --now %s%n", file, program);
    return 0;
  }

  static int uninstall(List<String> arguments, String program, PrintStream out) {
    return uninstall(arguments, program, UNITS, out);
  }

  static int uninstall(List<String> arguments, String program, Path units, PrintStream out) {
    if (!arguments.isEmpty()) {
      throw new LaunchException("'" + arguments.get(0) + "' is not understood; try help");
    }
    Path file = units.resolve(program + ".service");
    try {
      boolean wasThere = Files.deleteIfExists(file);
      if (wasThere) {
        out.printf(
            "removed %s; now: systemctl disable --now %s; systemctl daemon-reload%n",
            file, program);
      } else {
        out.printf("there is no %s%n", file);
      }
      return wasThere ? 0 : 1;
    } catch (IOException e) {
      throw new LaunchException(
          "cannot remove " + file + " (" + e.getMessage() + "); run this as root");
    }
  }

  /**
   * SIGTERM drains, so systemd waits for it; what is written goes to systemd's own directories.
   *
   * @param user empty = one that systemd makes for as long as it runs
   */
  static String unit(String program, Path home, String user, String config) {
    String command = home.resolve("bin").resolve(program) + " run";
    return """
        [Unit]
        Description=%1$s
        Wants=network-online.target
        After=network-online.target

        [Service]
        ExecStart=%2$s%3$s
        %4$s
        StateDirectory=%1$s
        Environment=CONEXOR_RUNTIME_DATA_DIR=/var/lib/%1$s
        Environment=CONEXOR_RUNTIME_LOG_TO=console
        Restart=on-failure
        RestartSec=2
        # the JVM's answer to a drained SIGTERM
        SuccessExitStatus=0 143
        TimeoutStopSec=60
        LimitNOFILE=65536
        NoNewPrivileges=true
        ProtectSystem=strict
        ProtectHome=read-only
        PrivateTmp=true

        [Install]
        WantedBy=multi-user.target
        """
        .formatted(
            program,
            command,
            config.isEmpty() ? "" : " --config " + config,
            user.isEmpty() ? "DynamicUser=true" : "User=" + user);
  }
}
