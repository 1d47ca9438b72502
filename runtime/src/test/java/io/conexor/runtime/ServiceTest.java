package io.conexor.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServiceTest {

  private static final Path HOME = Path.of("/opt/conexor-agent");

  private final ByteArrayOutputStream said = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);

  @TempDir Path units;

  @Test
  void a_printed_unit_starts_this_installation_and_writes_nothing() {
    int exit =
        Service.install(
            List.of("--print", "--user", "conexor", "--config", "/etc/agent.properties"),
            "conexor-agent",
            HOME,
            units,
            out);

    assertThat(exit).isZero();
    assertThat(said.toString(StandardCharsets.UTF_8))
        .contains(
            "ExecStart=/opt/conexor-agent/bin/conexor-agent run --config /etc/agent.properties\n")
        .contains("User=conexor\n")
        .contains("StateDirectory=conexor-agent\n");
    assertThat(units).isEmptyDirectory();
  }

  @Test
  void a_unit_is_written_and_removed_again() throws Exception {
    Service.install(List.of(), "conexor-agent", HOME, units, out);
    Path unit = units.resolve("conexor-agent.service");

    assertThat(Files.readString(unit)).contains("DynamicUser=true\n");
    assertThat(Service.uninstall(List.of(), "conexor-agent", units, out)).isZero();
    assertThat(unit).doesNotExist();
    assertThat(Service.uninstall(List.of(), "conexor-agent", units, out)).isEqualTo(1);
  }

  @Test
  void what_can_not_be_done_is_said() {
    assertThatThrownBy(() -> Service.install(List.of("--prnt"), "conexor-agent", HOME, units, out))
        .hasMessageContaining("--prnt");
    assertThatThrownBy(
            () -> Service.install(List.of(), "conexor-agent", HOME, units.resolve("missing"), out))
        .hasMessageContaining("run this as root, or use --print");
  }

  @Test
  void systemd_finds_nothing_wrong_with_it() throws Exception {
    Path verifier = Path.of("/usr/bin/systemd-analyze");
    Assumptions.assumeTrue(Files.isExecutable(verifier), "systemd-analyze is not installed");
    Path home = units.resolve("home/bin");
    Files.createDirectories(home);
    Files.writeString(home.resolve("conexor-agent"), "#!/bin/sh\n");
    assertThat(home.resolve("conexor-agent").toFile().setExecutable(true)).isTrue();
    Service.install(List.of(), "conexor-agent", home.getParent(), units, out);

    Process process =
        new ProcessBuilder(
                verifier.toString(), "verify", units.resolve("conexor-agent.service").toString())
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(text).doesNotContain("conexor-agent.service:");
  }
}
