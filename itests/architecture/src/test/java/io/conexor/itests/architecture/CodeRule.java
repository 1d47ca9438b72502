package io.conexor.itests.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaConstructor;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import io.conexor.itests.architecture.bad.BadComponent;
import io.conexor.itests.architecture.bad.BadHabits;
import io.conexor.itests.architecture.bad.StringUtil;
import io.conexor.itests.architecture.bad.left.Left;
import io.conexor.itests.architecture.bad.right.Right;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** A rule that the code of every bundle keeps, with classes that break it. */
enum CodeRule {
  BUNDLES_MEET_IN_THE_SERVICE_REGISTRY(
      classes().should(stayInTheirBundle()), Left.class, Right.class),

  PACKAGES_HAVE_NO_CYCLES(
      slices()
          .matching("io.conexor.(**)")
          .should()
          .beFreeOfCycles()
          // A call says whose it is, and the catalog keeps the schema that a call brought: two
          // sides
          // of one contract, and to move either would rename what every bundle uses.
          .ignoreDependency(
              resideInAPackage("io.conexor.api.catalog"), resideInAPackage("io.conexor.api.call")),
      Left.class,
      Right.class),

  ELAPSED_TIME_IS_NOT_READ_FROM_THE_CLOCK(
      noClasses()
          .should()
          .callMethod(System.class, "currentTimeMillis")
          .orShould()
          .callConstructor(java.util.Date.class),
      BadHabits.class),

  NOBODY_SLEEPS(
      noClasses()
          // A thread of its own whose whole life is a look now and then, or one that waits for what
          // tells nobody: Jetty's drain, another Redis.
          .that(
              areNot(
                  "io.conexor.http.Watch",
                  "io.conexor.http.ThisNode",
                  "io.conexor.http.JettyServer",
                  "io.conexor.redis.client.FleetMove"))
          .should()
          .callMethodWhere(
              target(nameMatching("sleep")).and(target(owner(assignableTo(Thread.class)))))
          .orShould()
          .callMethodWhere(
              target(nameMatching("sleep")).and(target(owner(assignableTo(TimeUnit.class))))),
      BadHabits.class),

  EXECUTORS_BELONG_TO_A_COMPONENT(
      noClasses()
          .should()
          .callMethod(ForkJoinPool.class, "commonPool")
          .orShould()
          .callMethodWhere(target(nameMatching("parallelStream")))
          .orShould()
          .callMethodWhere(
              describe(
                  "an ...Async method of CompletableFuture without an executor",
                  CodeRule::usesCommonPool)),
      BadHabits.class),

  STATIC_FIELDS_ARE_FINAL(
      fields()
          .that()
          .areStatic()
          .and()
          .doNotHaveModifier(JavaModifier.SYNTHETIC)
          .should()
          .beFinal(),
      BadHabits.class),

  NOTHING_STATIC_OWNS_THREADS(
      fields()
          .that()
          .haveRawType(assignableTo(ExecutorService.class).or(assignableTo(Thread.class)))
          .should()
          .notBeStatic(),
      BadHabits.class),

  NAMES_SAY_WHAT_A_THING_IS(
      noClasses()
          .should()
          .haveNameMatching(
              ".*\\.\\w*(Utils?|Helper|Manager|Misc|Impl)(\\$.*)?|.*\\.(Common|Base)\\w*|.*\\.\\w*[a-z]\\d+"),
      StringUtil.class),

  PACKAGES_ARE_NAMED_BY_PURPOSE(
      noClasses()
          .should()
          .resideInAnyPackage(
              "..util..", "..utils..", "..common..", "..misc..", "..impl..", "..internal.."),
      io.conexor.itests.architecture.bad.util.Anything.class),

  COMPONENTS_ARE_PUBLIC_AND_FINAL(
      classes()
          .that()
          .areAnnotatedWith(Component.class)
          .should()
          .bePublic()
          .andShould()
          .haveModifier(JavaModifier.FINAL),
      BadComponent.class),

  COMPONENTS_HOLD_SERVICES_IN_FINAL_OR_VOLATILE_FIELDS(
      fields()
          .that()
          .areDeclaredInClassesThat()
          .areAnnotatedWith(Component.class)
          .and()
          .haveRawType(resideInAPackage("io.conexor.api..").and(JavaClass.Predicates.INTERFACES))
          .should(beFinalOrVolatile()),
      BadComponent.class),

  STATE_OF_COMPONENTS_IS_THEIR_OWN(
      fields()
          .that()
          .areDeclaredInClassesThat()
          .areAnnotatedWith(Component.class)
          .and()
          .areNotFinal()
          .should()
          .bePrivate(),
      BadComponent.class),

  A_CHANGED_CONFIGURATION_IS_A_NEW_INSTANCE(
      methods().should().notBeAnnotatedWith(Modified.class), BadComponent.class),

  CONFIGURATION_IS_DESCRIBED(
      classes().that().areAnnotatedWith(Component.class).should(describeTheirConfiguration()),
      BadComponent.class),

  LOGGERS_ARE_CALLED_LOG(
      fields()
          .that()
          .haveRawType("org.slf4j.Logger")
          .should()
          .haveName("log")
          .andShould()
          .bePrivate()
          .andShould()
          .beStatic()
          .andShould()
          .beFinal(),
      BadHabits.class),

  NOTHING_IS_PRINTED(
      noClasses()
          .should()
          .accessField(System.class, "out")
          .orShould()
          .accessField(System.class, "err")
          .orShould()
          .callMethodWhere(target(nameMatching("printStackTrace"))),
      BadHabits.class),

  SERVICES_ARE_REFERENCED_BY_DECLARATION(
      noClasses()
          // Flyway looks into a bundle, a client is registered once it is connected, and a driver
          // is
          // taken out of the bundle that brings it: what declarative services cannot express.
          .that(
              areNot("io.conexor.catalog.Migrations")
                  .and(
                      not(
                          resideInAnyPackage(
                              "io.conexor.redis.client", "io.conexor.agent.executor"))))
          .should()
          .dependOnClassesThat()
          .haveNameMatching(
              "org\\.osgi\\.(framework\\.(BundleContext|ServiceReference)|util\\.tracker.*)"),
      BadHabits.class),

  NO_LOOKUP_BY_CLASS_LOADER(
      noClasses()
          .that(areNot("io.conexor.http.JettyServer")) // the one place where a library insists
          .should()
          .callMethodWhere(target(nameMatching("setContextClassLoader")))
          .orShould()
          .dependOnClassesThat(assignableTo(java.util.ServiceLoader.class)),
      BadHabits.class),

  NO_REFLECTION(
      noClasses()
          // One walks the tree of a parser it does not own, one makes a driver from its class name,
          // one asks a driver for what JDBC has no word for, two stand in for an interface of sixty
          // methods of which they change a dozen, one reads the defaults of a configuration where
          // there is no OSGi.
          .that(
              areNot(
                  "io.conexor.agent.executor.SyntaxTree",
                  "io.conexor.agent.executor.Drivers",
                  "io.conexor.agent.executor.Engine",
                  "io.conexor.database.RoutingSource",
                  "io.conexor.database.RoutedConnection",
                  "io.conexor.database.Settings"))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("java.lang.reflect..")
          .orShould()
          .callMethod(Class.class, "forName", String.class)
          .orShould()
          .callMethodWhere(target(nameMatching("setAccessible|trySetAccessible"))),
      BadHabits.class),

  ERRORS_HAVE_ONE_ROOT(
      classes()
          .that(assignableTo(Exception.class))
          .and(not(resideInAnyPackage("io.conexor.protocol..")))
          .and()
          .areTopLevelClasses()
          .and()
          .arePublic()
          .should()
          .beAssignableTo("io.conexor.api.ConexorException"),
      io.conexor.itests.architecture.bad.BadException.class);

  private final ArchRule rule;
  private final List<Class<?>> bad;

  CodeRule(ArchRule rule, Class<?>... bad) {
    this.rule = rule;
    this.bad = List.of(bad);
  }

  ArchRule rule() {
    return rule;
  }

  List<Class<?>> bad() {
    return bad;
  }

  private static DescribedPredicate<JavaClass> areNot(String... names) {
    Set<String> exempt = Set.of(names);
    return describe(
        "are not " + exempt, c -> !exempt.contains(c.getName().replaceFirst("\\$.*", "")));
  }

  private static boolean usesCommonPool(JavaCall<?> call) {
    return call.getTargetOwner().isAssignableTo(CompletableFuture.class)
        && call.getName().endsWith("Async")
        && call.getTarget().getRawParameterTypes().stream()
            .noneMatch(p -> p.getName().equals("java.util.concurrent.Executor"));
  }

  /** The bundle a class belongs to, by the longest name that its package starts with. */
  private static String bundleOf(JavaClass type) {
    String name = type.getPackageName();
    if (name.startsWith("io.conexor.itests.")) {
      return name;
    }
    return Tree.bundleFolders().stream()
        .map(Tree::nameOf)
        .filter(b -> name.equals(b) || name.startsWith(b + "."))
        .max(java.util.Comparator.comparingInt(String::length))
        .orElse(name);
  }

  private static ArchCondition<JavaClass> stayInTheirBundle() {
    return new ArchCondition<>("depend on their own bundle and on contracts only") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
          JavaClass other = dependency.getTargetClass().getBaseComponentType();
          boolean ours = resideInAPackage("io.conexor..").test(other);
          String bundle = ours ? bundleOf(other) : "";
          if (ours && !bundle.equals(bundleOf(type)) && !Tree.CONTRACTS.contains(bundle)) {
            events.add(SimpleConditionEvent.violated(type, dependency.getDescription()));
          }
        }
      }
    };
  }

  private static ArchCondition<JavaField> beFinalOrVolatile() {
    return new ArchCondition<>("be final, or volatile for a dynamic reference") {
      @Override
      public void check(JavaField field, ConditionEvents events) {
        Set<JavaModifier> modifiers = field.getModifiers();
        if (!modifiers.contains(JavaModifier.FINAL) && !modifiers.contains(JavaModifier.VOLATILE)) {
          events.add(SimpleConditionEvent.violated(field, field.getDescription() + " is neither"));
        }
      }
    };
  }

  private static ArchCondition<JavaClass> describeTheirConfiguration() {
    return new ArchCondition<>("have a description of their configuration") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        for (JavaConstructor constructor : type.getConstructors()) {
          if (!constructor.isAnnotatedWith(Activate.class)) {
            continue;
          }
          for (JavaClass parameter : constructor.getRawParameterTypes()) {
            boolean described = parameter.isAnnotatedWith(ObjectClassDefinition.class);
            // A map where a key of the configuration has a key inside, as properties of a driver.
            boolean isBare =
                parameter.isAssignableTo(java.util.Map.class)
                    && !type.isAnnotatedWith(Designate.class);
            if ((parameter.isAnnotation() && !described) || isBare) {
              events.add(
                  SimpleConditionEvent.violated(
                      type, type.getName() + " takes " + parameter.getName() + " without an OCD"));
            }
          }
        }
      }
    };
  }
}
