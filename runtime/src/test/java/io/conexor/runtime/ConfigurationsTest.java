package io.conexor.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigurationsTest {

  private static final String METATYPE =
      """
      <metatype:MetaData xmlns:metatype="http://www.osgi.org/xmlns/metatype/v1.4.0">
        <OCD id="web">
          <AD id="port" type="Integer" min="0" max="65535" default="8080"/>
          <AD id="hosts" type="String" cardinality="2147483647"/>
          <AD id="mode" type="String"><Option label="Fast" value="fast"/><Option label="Safe" value="safe"/></AD>
          <AD id="secret" type="Password"/>
          <AD id="on" type="Boolean"/>
        </OCD>
        <Designate pid="io.conexor.web"><Object ocdref="web"/></Designate>
        <OCD id="source"><AD id="max.rows" type="Long" min="1"/></OCD>
        <Designate factoryPid="io.conexor.agent.source"><Object ocdref="source"/></Designate>
      </metatype:MetaData>
      """;

  private final ConfigurationKeys keys = ConfigurationKeys.of(List.of());

  @BeforeEach
  void read() throws Exception {
    keys.read(new ByteArrayInputStream(METATYPE.getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void values_get_the_type_the_bundle_declares() {
    assertThat(configured(Map.of("web.port", "80", "web.hosts", "a, b", "web.on", "true")))
        .containsEntry("port", 80)
        .containsEntry("on", true)
        .containsEntry("hosts", new String[] {"a", "b"});
  }

  @Test
  void unknown_key_is_rejected_with_the_nearest_one_and_its_range() {
    assertThatThrownBy(() -> configured(Map.of("web.prot", "80")))
        .isInstanceOf(LaunchException.class)
        .hasMessageContaining("test: web.prot: there is no such key")
        .hasMessageContaining("'web.port' (a whole number between 0 and 65535, default 8080)");
  }

  @Test
  void value_out_of_range_is_rejected() {
    assertThatThrownBy(() -> configured(Map.of("web.port", "70000")))
        .hasMessageContaining("web.port: '70000' is not a whole number between 0 and 65535");
  }

  @Test
  void value_that_is_no_option_is_rejected() {
    assertThatThrownBy(() -> configured(Map.of("web.mode", "wild")))
        .hasMessageContaining("'wild' is not one of [fast, safe]");
  }

  @Test
  void every_problem_is_reported_at_once() {
    assertThatThrownBy(() -> configured(Map.of("web.port", "x", "web.on", "perhaps")))
        .hasMessageContaining("web.port")
        .hasMessageContaining("'perhaps' is not true or false");
  }

  @Test
  void environment_overrides_the_file() {
    Configurations checked =
        Configurations.checked(
            Map.of(),
            written(Map.of("web.port", "1")),
            Map.of("CONEXOR_WEB_PORT", "2"),
            keys,
            none());

    assertThat(checked.byPid().get("io.conexor.web")).containsEntry("port", 2);
  }

  @Test
  void file_overrides_the_defaults_of_features() {
    Configurations checked =
        Configurations.checked(
            Map.of("io.conexor.web", Map.of("port", 1L, "mode", "fast")),
            written(Map.of("web.port", "2")),
            Map.of(),
            keys,
            none());

    assertThat(checked.byPid().get("io.conexor.web"))
        .containsEntry("port", 2)
        .containsEntry("mode", "fast");
  }

  @Test
  void factory_instances_are_named_with_a_tilde() {
    Configurations checked =
        Configurations.checked(
            Map.of(), written(Map.of("agent.source~sales.max.rows", "7")), Map.of(), keys, none());

    assertThat(checked.byPid())
        .containsEntry("io.conexor.agent.source~sales", Map.of("max.rows", 7L));
  }

  @Test
  void factory_key_without_a_name_says_how_to_write_it() {
    assertThatThrownBy(() -> configured(Map.of("agent.source.max.rows", "7")))
        .hasMessageContaining("agent.source~NAME.max.rows");
  }

  @Test
  void mistyped_factory_key_is_corrected_with_the_name_kept() {
    assertThatThrownBy(() -> configured(Map.of("agent.source~sales.max.rws", "7")))
        .hasMessageContaining("did you mean 'agent.source~sales.max.rows'");
  }

  @Test
  void secret_may_stand_in_a_file(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("secret"), "hunter2\n");

    assertThat(configured(Map.of("web.secret", "${file:" + file + "}")))
        .containsEntry("secret", "hunter2");
  }

  @Test
  void missing_environment_variable_is_named() {
    assertThatThrownBy(() -> configured(Map.of("web.secret", "${env:NOT_SET}")))
        .hasMessageContaining("web.secret: the environment variable NOT_SET is not set");
  }

  @Test
  void target_filter_needs_no_declaration() {
    assertThat(configured(Map.of("web.redis.target", "(mode=a)")))
        .containsEntry("redis.target", "(mode=a)");
  }

  @Test
  void line_in_the_file_is_named(@TempDir Path directory) throws Exception {
    Path file =
        Files.writeString(directory.resolve("c.properties"), "# x\nweb.port = 1\n\nweb.prt = 2\n");

    assertThatThrownBy(
            () ->
                Configurations.checked(
                    Map.of(), Assignments.fromFile(file, false), Map.of(), keys, none()))
        .hasMessageContaining("c.properties line 4: web.prt");
  }

  private Map<String, Object> configured(Map<String, String> values) {
    return Configurations.checked(Map.of(), written(values), Map.of(), keys, none())
        .byPid()
        .getOrDefault("io.conexor.web", Map.of());
  }

  private static Assignments written(Map<String, String> values) {
    return new Assignments(Map.of(), Map.of()).overriddenBy(values, "test");
  }

  private static Placeholders none() {
    return new Placeholders(Map.of(), Map.of());
  }
}
