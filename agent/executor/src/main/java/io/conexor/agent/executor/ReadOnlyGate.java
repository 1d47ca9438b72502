package io.conexor.agent.executor;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import net.sf.jsqlparser.parser.CCJSqlParser;
import net.sf.jsqlparser.parser.ParseException;
import net.sf.jsqlparser.parser.StringProvider;
import net.sf.jsqlparser.parser.TokenMgrException;
import net.sf.jsqlparser.statement.Statement;
import org.jspecify.annotations.Nullable;

/**
 * Says whether a statement is a read. Three looks, each of which can refuse: the lexer of the
 * dialect, rules over its tokens, and a walk over the syntax tree of a parser that gets the tokens
 * in their plainest form. What is not understood is refused with the place.
 *
 * <p>The gate is the first of three defences. It cannot know what a function written by the
 * database's owner does; the engine's read-only transaction and the rights of the role answer for
 * that.
 *
 * <p><b>Threads.</b> Safe for concurrent use; parses on the caller's thread. <b>Cost.</b> A known
 * text costs a map lookup; a new one about a millisecond, at most {@link Limits#parseMillis}.
 */
final class ReadOnlyGate {

  /**
   * Bounds.
   *
   * @param sqlChars longest text
   * @param sqlTokens most tokens
   * @param parseMillis longest time in the parser
   * @param cacheEntries most remembered verdicts
   * @param cacheChars most characters of remembered texts
   */
  record Limits(int sqlChars, int sqlTokens, long parseMillis, int cacheEntries, long cacheChars) {
    static final Limits DEFAULT = new Limits(256 * 1024, 20_000, 1_000, 4_096, 4L * 1024 * 1024);
  }

  private record Key(Dialect dialect, String sql) {}

  private final Limits limits;
  private final ScheduledExecutorService timer;
  private final Map<Dialect, StatementRules> rules = new EnumMap<>(Dialect.class);
  private final Cache cache;

  /**
   * A gate.
   *
   * @param allowedFunctions names released by the operator, e.g. {@code nextval} or {@code dblink*}
   * @param timer tells a parse that its time is up; owned by the caller
   */
  ReadOnlyGate(Limits limits, Set<String> allowedFunctions, ScheduledExecutorService timer) {
    this.limits = limits;
    this.timer = timer;
    this.cache = new Cache(limits.cacheEntries(), limits.cacheChars());
    for (Dialect dialect : Dialect.values()) {
      rules.put(dialect, new StatementRules(dialect, FunctionRules.of(dialect, allowedFunctions)));
    }
  }

  /** The verdict on one text. */
  Verdict check(String sql, Dialect dialect) {
    if (sql.length() > limits.sqlChars()) {
      return new Verdict.Refused(
          "sql_too_long", "the statement is longer than " + limits.sqlChars() + " characters", -1);
    }
    Key key = new Key(dialect, sql);
    Verdict known = cache.get(key);
    if (known != null) {
      return known;
    }
    Verdict verdict = look(sql, dialect);
    cache.put(key, verdict);
    return verdict;
  }

  private Verdict look(String sql, Dialect dialect) {
    try {
      List<Token> tokens = SqlLexer.tokens(sql, dialect, limits.sqlTokens());
      StatementRules.Outcome outcome = rulesOf(dialect).check(tokens);
      if (!outcome.query().isEmpty()) {
        parse(PlainText.of(dialect, outcome.query()));
      }
      return new Verdict.Allowed(
          sql.substring(0, outcome.end()), outcome.kind(), outcome.parameters());
    } catch (SqlSyntaxException e) {
      return new Verdict.Refused(e.code(), e.reason() + place(sql, e.position()), e.position());
    }
  }

  private StatementRules rulesOf(Dialect dialect) {
    StatementRules found = rules.get(dialect);
    if (found == null) {
      throw new IllegalStateException("no rules for " + dialect);
    }
    return found;
  }

  private void parse(PlainText plain) {
    Statement statement;
    try {
      statement = parse(plain.text(), false);
    } catch (ParseException | TokenMgrException simple) {
      try {
        statement = parse(plain.text(), true);
      } catch (ParseException e) {
        int column =
            e.currentToken == null || e.currentToken.next == null
                ? 1
                : e.currentToken.next.beginColumn;
        throw new SqlSyntaxException(
            "sql_not_understood",
            "the statement cannot be understood, so it cannot be allowed; the trouble is near here",
            plain.origin(column));
      } catch (TokenMgrException e) {
        throw new SqlSyntaxException(
            "sql_not_understood", "the statement cannot be understood", plain.origin(1));
      }
    }
    Optional<String> objection = SyntaxTree.objection(statement);
    if (objection.isPresent()) {
      throw new SqlSyntaxException(
          "sql_writes", "the statement is not a read: " + objection.get(), plain.origin(1));
    }
  }

  private Statement parse(String text, boolean complex) throws ParseException {
    CCJSqlParser parser = new CCJSqlParser(new StringProvider(text));
    parser.withAllowComplexParsing(complex);
    // the flag makes the parser give up at its next choice; a small text never waits for the timer
    ScheduledFuture<?> bell =
        timer.schedule(
            () -> parser.interrupted = true, limits.parseMillis(), TimeUnit.MILLISECONDS);
    try {
      Statement statement = parser.Statement();
      if (statement == null || parser.interrupted) {
        throw new SqlSyntaxException(
            "sql_too_complex", "the statement takes too long to understand; simplify it", -1);
      }
      return statement;
    } catch (StackOverflowError e) {
      throw new SqlSyntaxException(
          "sql_too_complex", "the statement is nested too deeply; simplify it", -1);
    } finally {
      bell.cancel(false);
    }
  }

  private static String place(String sql, int position) {
    if (position < 0) {
      return "";
    }
    int line = 1;
    int column = 1;
    for (int i = 0; i < position && i < sql.length(); i++) {
      if (sql.charAt(i) == '\n') {
        line++;
        column = 1;
      } else {
        column++;
      }
    }
    return " (line " + line + ", column " + column + ")";
  }

  /** Oldest out first, bounded by entries and characters; reading takes no lock. */
  private static final class Cache {
    private final int entries;
    private final long chars;
    private final Map<Key, Verdict> map = new ConcurrentHashMap<>();
    // guarded by this
    private final Deque<Key> order = new ArrayDeque<>();
    private long size;

    Cache(int entries, long chars) {
      this.entries = entries;
      this.chars = chars;
    }

    @Nullable Verdict get(Key key) {
      return map.get(key);
    }

    synchronized void put(Key key, Verdict verdict) {
      if (key.sql().length() > chars / 16 || map.put(key, verdict) != null) {
        return;
      }
      order.add(key);
      size += key.sql().length();
      while (order.size() > entries || size > chars) {
        Key oldest = order.remove();
        size -= oldest.sql().length();
        map.remove(oldest);
      }
    }
  }
}
