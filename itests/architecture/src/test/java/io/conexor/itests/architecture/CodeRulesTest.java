package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The rules that show in the code of the bundles. */
class CodeRulesTest {

  private static final JavaClasses OURS =
      new ClassFileImporter()
          .importPaths(
              Tree.bundleFolders().stream()
                  .map(f -> f.resolve("target/classes"))
                  .toArray(Path[]::new));

  @ParameterizedTest
  @EnumSource
  void every_class_keeps_the_rule(CodeRule rule) {
    rule.rule().check(OURS);
  }

  @ParameterizedTest
  @EnumSource
  void a_class_that_breaks_the_rule_is_found(CodeRule rule) {
    for (Class<?> bad : rule.bad()) {
      JavaClasses classes = new ClassFileImporter().importClasses(List.copyOf(rule.bad()));

      assertThat(rule.rule().evaluate(classes).hasViolation()).as("%s", bad).isTrue();
    }
  }
}
