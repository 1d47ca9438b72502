package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** {@code conexor-agent check} says what is wrong, and what to do about it. */
class AgentCheckIT {

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private static Tenant.Agent agent;

  /** What was printed, and the exit code. */
  private record Checked(String text, int exit) {}

  @BeforeAll
  static void makeAKey() {
    agent = fleet.tenant().agent("checked");
  }

  private static Map<String, String> good() {
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("runtime.features", "agent, jdbc-postgresql");
    settings.put("agent.link.backend.url", fleet.tenant().url());
    settings.put("agent.link.key", agent.key());
    settings.put("agent.link.name", "checked");
    settings.put(
        "agent.executor.source~shop.url",
        "jdbc:postgresql://127.0.0.1:" + fleet.database().port() + "/conexor");
    settings.put("agent.executor.source~shop.user", "conexor");
    return settings;
  }

  private static Checked check(Map<String, String> settings) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Distribution.AGENT.program().toString());
    command.add("check");
    settings.forEach((key, value) -> command.addAll(List.of("--set", key + "=" + value)));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String text = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return new Checked(text, process.exitValue());
  }

  @Test
  void an_agent_that_is_well_is_told_so_with_the_rights_of_its_role() throws Exception {
    Checked checked = check(good());

    assertThat(checked.exit()).as(checked.text()).isZero();
    assertThat(checked.text())
        .contains("ok: a link to backend ")
        .contains("ok: source 'shop' (postgresql): PostgreSQL")
        .contains("note: source 'shop'")
        .doesNotContain("wrong: ")
        .doesNotContain(agent.key());
  }

  @Test
  void a_wrong_key_and_a_database_that_is_away_are_both_named() throws Exception {
    Map<String, String> settings = good();
    settings.put("agent.link.key", agent.key().substring(0, agent.key().length() - 4) + "0000");
    settings.put("agent.executor.source~gone.url", "jdbc:postgresql://127.0.0.1:9/none");

    Checked checked = check(settings);

    assertThat(checked.exit()).isEqualTo(1);
    assertThat(checked.text())
        .contains("wrong: " + fleet.tenant().url().replace("http:", "ws:"))
        .contains("(401): check `key`")
        .contains("wrong: source 'gone' (postgresql): ")
        .contains("agent.executor.source~gone");
  }

  @Test
  void a_backend_that_is_not_there_is_named() throws Exception {
    Map<String, String> settings = good();
    settings.put("agent.link.backend.url", "http://127.0.0.1:9");

    Checked checked = check(settings);

    assertThat(checked.exit()).isEqualTo(1);
    assertThat(checked.text()).contains("wrong: ws://127.0.0.1:9/");
  }
}
