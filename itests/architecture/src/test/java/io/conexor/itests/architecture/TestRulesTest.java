package io.conexor.itests.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import io.conexor.itests.architecture.bad.Forgetful;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The rules for tests. */
class TestRulesTest {

  private static final JavaClasses TESTS = new ClassFileImporter().importPaths(testClasses());

  enum TestRule {
    EVERY_TEST_RUNS(
        methods()
            .that()
            .areDeclaredInClassesThat(
                describe(
                    "tests", (JavaClass c) -> c.getSimpleName().matches(".*(Test|IT|Contract)")))
            .and()
            .areNotPrivate()
            .and()
            .areNotStatic()
            .and()
            .haveRawReturnType(void.class)
            .and(
                describe(
                    "that take nothing",
                    (JavaMethod m) ->
                        m.getRawParameterTypes().isEmpty()
                            && !m.getModifiers().contains(JavaModifier.SYNTHETIC)
                            && !m.getModifiers().contains(JavaModifier.ABSTRACT)))
            .should()
            .beAnnotatedWith(
                describe(
                    "JUnit",
                    a -> a.getRawType().getPackageName().startsWith("org.junit.jupiter")))),

    NAMES_ARE_FACTS(
        methods()
            .that()
            .areAnnotatedWith(Test.class)
            .should()
            .haveNameMatching("[a-z0-9]+(_[a-zA-Z0-9]+)*")),

    NOBODY_SLEEPS(
        noClasses()
            .should()
            .callMethod(Thread.class, "sleep", long.class)
            .orShould()
            .callMethod(TimeUnit.class, "sleep", long.class)),

    NO_MOCKS(
        noClasses()
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("org.mockito..", "org.easymock..", "org.powermock..", "mockit.."));

    private final ArchRule rule;

    TestRule(ArchRule rule) {
      this.rule = rule;
    }
  }

  @ParameterizedTest
  @EnumSource
  void every_test_keeps_the_rule(TestRule rule) {
    rule.rule.check(TESTS.that(not(JavaClass.Predicates.resideInAPackage("..architecture.bad.."))));
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NO_MOCKS") // there is none to depend on
  void a_test_that_breaks_the_rule_is_found(TestRule rule) {
    JavaClasses bad = new ClassFileImporter().importClasses(Forgetful.BadTest.class);

    assertThat(rule.rule.evaluate(bad).hasViolation()).isTrue();
  }

  private static Path[] testClasses() {
    return Stream.of("bundles", "agent", "itests", ".")
        .flatMap(layer -> Tree.list(Tree.ROOT.resolve(layer)))
        .map(module -> module.resolve("target/test-classes"))
        .filter(Files::isDirectory)
        .toArray(Path[]::new);
  }
}
