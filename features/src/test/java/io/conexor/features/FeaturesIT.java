package io.conexor.features;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.runtime.Composition;
import io.conexor.runtime.FeatureFiles;
import io.conexor.runtime.Launch;
import io.conexor.runtime.Places;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every set of features that is meant to run together resolves; if not, the message names what is
 * missing.
 */
class FeaturesIT {

  private static final Path FEATURES = Path.of("target/classes/features");

  @TempDir Path home;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "server-core,embedded",
        "server-core,embedded-postgres,redis-standalone",
        "server-core,postgres,memory",
        "server-core,postgres,redis-sentinel",
        "server-core,postgres,redis-cluster",
        "server-core,postgres,redis-standalone",
        "server-core,embedded,redis-sentinel,redis-cluster",
        "agent,jdbc-*"
      })
  void features_resolve_together(String names) throws IOException {
    Assembly.assemble(
        FEATURES,
        new ResolvedArtifacts(Path.of("target/artifacts.txt")),
        home,
        List.of(names.split(",")));

    Launch.check(Places.below(home, List.of(names.split(","))), Map.of(), Map.of());
  }

  @Test
  void every_feature_says_what_it_is() {
    assertThat(FeatureFiles.in(FEATURES).all())
        .allSatisfy(f -> assertThat(f.description()).isNotBlank());
  }

  @Test
  void all_features_agree_on_versions() {
    assertThat(Composition.of(FeatureFiles.in(FEATURES).all()).bundles()).isNotEmpty();
  }
}
