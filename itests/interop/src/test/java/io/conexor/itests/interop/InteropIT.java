package io.conexor.itests.interop;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.itests.lab.Binaries;
import io.conexor.itests.lab.LogsOfFailures;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The official clients, unmodified from their registry, in both eras of the protocol. */
@ExtendWith(LogsOfFailures.class)
class InteropIT {

  private static final Path HERE = Path.of("target", "node").toAbsolutePath();

  @RegisterExtension static final Shop shop = new Shop();

  @BeforeAll
  static void install() throws Exception {
    Binaries.require("node");
    Binaries.require("npm");
    Files.createDirectories(HERE);
    for (String file : List.of("clients.mjs", "package.json", "package-lock.json")) {
      Files.copy(
          Path.of("src", "test", "node", file),
          HERE.resolve(file),
          StandardCopyOption.REPLACE_EXISTING);
    }
    // What is there already stays; npm keeps its own cache for what is not.
    run("npm", "install", "--no-save", "--prefer-offline", "--no-audit", "--no-fund");
  }

  @Test
  void the_typescript_clients_list_and_call_tools_in_both_eras() throws Exception {
    String url = shop.open().backend().url() + shop.open().server().path();

    assertThat(run("node", "clients.mjs", url, shop.open().server().key()))
        .contains(
            "sdk 1: ok, 2025-11-25",
            "client 2, handshake: ok, 2025-11-25",
            "client 2, stateless: ok, 2026-07-28");
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).directory(HERE.toFile()).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }
}
