package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReadOnlyGateTest {
  private static final ScheduledExecutorService TIMER =
      Executors.newSingleThreadScheduledExecutor();

  private final ReadOnlyGate gate = new ReadOnlyGate(ReadOnlyGate.Limits.DEFAULT, Set.of(), TIMER);

  @AfterAll
  static void stopTimer() {
    TIMER.shutdownNow();
  }

  @TestFactory
  Stream<DynamicTest> the_verdict_on_every_statement_of_the_corpus() {
    return Stream.of(Dialect.values())
        .flatMap(
            dialect ->
                Corpus.of(dialect).stream()
                    .map(
                        entry ->
                            DynamicTest.dynamicTest(
                                dialect + " " + entry.line(), () -> judge(dialect, entry))));
  }

  private void judge(Dialect dialect, Corpus.Entry entry) {
    Verdict verdict = gate.check(entry.sql(), dialect);

    if (entry.allowed()) {
      assertThat(verdict).isInstanceOf(Verdict.Allowed.class);
    } else {
      assertThat(verdict)
          .isInstanceOfSatisfying(
              Verdict.Refused.class, refused -> assertThat(refused.code()).isEqualTo(entry.code()));
    }
  }

  @ParameterizedTest
  @EnumSource(Dialect.class)
  void the_corpus_has_150_statements_per_dialect(Dialect dialect) {
    assertThat(Corpus.of(dialect)).hasSizeGreaterThan(250);
  }

  /** What is refused stays refused however it is spelled. */
  @ParameterizedTest
  @EnumSource(Dialect.class)
  void no_refused_statement_passes_in_another_spelling(Dialect dialect) {
    List<String> passed = new ArrayList<>();
    for (Corpus.Entry entry : Corpus.of(dialect)) {
      if (entry.allowed() || entry.code().equals("sql_not_understood")) {
        continue;
      }
      for (String variant : variants(entry.sql())) {
        if (gate.check(variant, dialect) instanceof Verdict.Allowed) {
          passed.add(variant);
        }
      }
    }
    assertThat(passed).isEmpty();
  }

  private static List<String> variants(String sql) {
    boolean quotes = sql.matches("(?s).*['\"`\\[$#/\\\\-].*");
    List<String> variants = new ArrayList<>();
    variants.add("\n\t " + sql);
    variants.add("/* x */ " + sql);
    variants.add("-- x\n" + sql);
    variants.add(sql + "\n");
    variants.add(sql + "\n-- x");
    if (!quotes) {
      variants.add(sql.toLowerCase(java.util.Locale.ROOT));
      variants.add(sql.toUpperCase(java.util.Locale.ROOT));
      variants.add(sql.replace(" ", "\n"));
      variants.add(sql.replace(" ", "/**/"));
      variants.add(sql.replace(" ", " -- y\n"));
      variants.add(sql.replace(" ", "\t\r\n"));
    }
    return variants;
  }

  /** Nothing that was cut or garbled throws, hangs or passes as a write. */
  @ParameterizedTest
  @EnumSource(Dialect.class)
  void garbled_statements_are_answered(Dialect dialect) {
    Random random = new Random(dialect.ordinal());
    List<Corpus.Entry> corpus = Corpus.of(dialect);
    for (int i = 0; i < 1_500; i++) {
      String sql = corpus.get(random.nextInt(corpus.size())).sql();
      StringBuilder text = new StringBuilder(sql);
      for (int n = random.nextInt(3); n >= 0 && text.length() > 0; n--) {
        int at = random.nextInt(text.length());
        switch (random.nextInt(3)) {
          case 0 -> text.deleteCharAt(at);
          case 1 -> text.insert(at, "'\"`[](){};/*-\\$\u0000\u00a0?E".charAt(random.nextInt(19)));
          default -> text.setLength(at);
        }
      }
      assertThat(gate.check(text.toString(), dialect)).isNotNull();
    }
  }

  @Test
  void a_refusal_says_where_and_what() {
    Verdict verdict = gate.check("SELECT 1,\n  pg_sleep(5)", Dialect.POSTGRESQL);

    assertThat(verdict)
        .isEqualTo(
            new Verdict.Refused(
                "sql_function",
                "the function PG_SLEEP is not allowed: it is an administrative or internal function"
                    + " (line 2, column 3)",
                12));
  }

  @Test
  void an_allowed_statement_loses_its_semicolon_and_counts_its_parameters() {
    Verdict verdict =
        gate.check("SELECT ? FROM t WHERE a = ? AND b = '?' ; -- end?", Dialect.POSTGRESQL);

    assertThat(verdict)
        .isEqualTo(
            new Verdict.Allowed("SELECT ? FROM t WHERE a = ? AND b = '?'", Verdict.Kind.QUERY, 2));
  }

  @Test
  void an_operator_can_release_functions() {
    ReadOnlyGate lenient =
        new ReadOnlyGate(
            ReadOnlyGate.Limits.DEFAULT, Set.of("pg_stat_reset", "dblink*", "utl_http.*"), TIMER);

    assertThat(lenient.check("SELECT pg_stat_reset()", Dialect.POSTGRESQL))
        .isInstanceOf(Verdict.Allowed.class);
    assertThat(lenient.check("SELECT * FROM dblink('x', 'y') AS t(a int)", Dialect.POSTGRESQL))
        .isInstanceOf(Verdict.Allowed.class);
    assertThat(lenient.check("SELECT UTL_HTTP.REQUEST('x') FROM DUAL", Dialect.ORACLE))
        .isInstanceOf(Verdict.Allowed.class);
    assertThat(lenient.check("SELECT pg_sleep(1)", Dialect.POSTGRESQL))
        .isInstanceOf(Verdict.Refused.class);
  }

  @Test
  void costs_are_bounded() {
    long start = System.nanoTime();
    for (String sql :
        List.of(
            "SELECT " + "(".repeat(90) + "1" + ")".repeat(90),
            "SELECT " + "(".repeat(5_000) + "1" + ")".repeat(5_000),
            "SELECT " + "f(".repeat(90) + "1" + ")".repeat(90),
            "SELECT " + "case when 1=1 then ".repeat(90) + "1" + " end".repeat(90),
            "SELECT " + "1+".repeat(9_000) + "1",
            "SELECT " + "NOT ".repeat(9_000) + "1",
            "SELECT " + "- ".repeat(9_000) + "1",
            "SELECT * FROM " + "(SELECT * FROM ".repeat(90) + "t" + ") x".repeat(90),
            "SELECT " + "x".repeat(300_000),
            "SELECT 1 " + "UNION SELECT 1 ".repeat(4_000))) {
      assertThat(gate.check(sql, Dialect.POSTGRESQL)).isNotNull();
    }
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(60));
  }
}
