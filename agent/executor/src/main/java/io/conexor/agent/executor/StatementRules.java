package io.conexor.agent.executor;

import io.conexor.agent.executor.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the tokens of a statement alone tell: how many statements there are, how they begin, words
 * that cannot stand in a read, and functions with effects. The parser has the second say, so
 * neither has to be perfect.
 */
final class StatementRules {

  /** Statements that change something, wherever a statement can begin. */
  private static final Set<String> WRITING_VERBS =
      words(
          """
          INSERT UPDATE DELETE MERGE REPLACE UPSERT CREATE DROP ALTER TRUNCATE GRANT
          REVOKE CALL EXEC EXECUTE DO SET RESET COPY LOCK VACUUM REINDEX ATTACH DETACH
          BEGIN COMMIT ROLLBACK DECLARE LOAD KILL WAITFOR DBCC RENAME COMMENT
          """);

  private static final Set<String> QUERY_VERBS = Set.of("SELECT", "VALUES", "TABLE");

  private static final Map<Dialect, Set<String>> RESERVED =
      Map.of(
          Dialect.POSTGRESQL,
          Set.of(),
          Dialect.H2,
          Set.of(),
          Dialect.MYSQL,
          words(
              """
          INSERT UPDATE DELETE REPLACE CALL LOAD GRANT REVOKE DROP CREATE ALTER LOCK
          UNLOCK KILL OUTFILE DUMPFILE RENAME PURGE PROCEDURE TRIGGER UNDO
          """),
          Dialect.SQLSERVER,
          words(
              """
          ADD ALTER BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE CLUSTERED COMMIT CONTINUE
          CREATE CURSOR DATABASE DBCC DEALLOCATE DECLARE DELETE DENY DISK DROP DUMP
          ERRLVL EXEC EXECUTE EXIT FETCH FUNCTION GOTO GRANT IF INSERT KILL LINENO LOAD
          MERGE OPEN PRINT PROC PROCEDURE RAISERROR READTEXT RECONFIGURE RESTORE RETURN
          REVERT REVOKE ROLLBACK SAVE SCHEMA SET SETUSER SHUTDOWN STATISTICS TRAN
          TRANSACTION TRIGGER TRUNCATE UPDATE UPDATETEXT USE VIEW WAITFOR WHILE
          WRITETEXT
          """),
          Dialect.ORACLE,
          words(
              """
          INSERT UPDATE DELETE DROP CREATE ALTER GRANT REVOKE LOCK RENAME
          """),
          Dialect.SQLITE,
          words(
              """
          ALTER CREATE DELETE DROP INSERT UPDATE SET TRANSACTION COMMIT
          """));

  /**
   * Reserved words of {@link #RESERVED} that are also functions: fine in front of a parenthesis.
   */
  private static final Set<String> FUNCTIONS_TOO = Set.of("INSERT", "REPLACE", "TRUNCATE");

  private static final Set<String> LOCKING_HINTS = Set.of("UPDLOCK", "XLOCK", "TABLOCKX");

  private static final Set<String> SHOWABLE_MYSQL =
      words(
          """
          DATABASES SCHEMAS TABLES TABLE FULL EXTENDED COLUMNS FIELDS INDEX INDEXES KEYS
          CREATE STATUS GLOBAL SESSION LOCAL VARIABLES PROCESSLIST ENGINES STORAGE
          WARNINGS ERRORS COUNT CHARACTER CHARSET COLLATION FUNCTION PROCEDURE TRIGGERS
          EVENTS GRANTS PLUGINS PRIVILEGES PACKAGE OPEN
          """);

  private static final Set<String> READING_PRAGMAS =
      words(
          """
          TABLE_INFO TABLE_XINFO TABLE_LIST INDEX_LIST INDEX_INFO INDEX_XINFO
          FOREIGN_KEY_LIST DATABASE_LIST COLLATION_LIST FUNCTION_LIST MODULE_LIST
          PRAGMA_LIST COMPILE_OPTIONS
          """);

  private static final Set<String> READING_PRAGMAS_WITHOUT_VALUE =
      words(
          """
          PAGE_COUNT PAGE_SIZE USER_VERSION ENCODING SCHEMA_VERSION FREELIST_COUNT
          APPLICATION_ID FOREIGN_KEYS JOURNAL_MODE QUERY_ONLY DATA_VERSION
          """);

  private final Dialect dialect;
  private final FunctionRules functions;

  StatementRules(Dialect dialect, FunctionRules functions) {
    this.dialect = dialect;
    this.functions = functions;
  }

  /**
   * What is left to look at.
   *
   * @param query the tokens of the query itself; empty when there is none to parse (SHOW and the
   *     like)
   */
  record Outcome(Verdict.Kind kind, List<Token> query, int end, int parameters) {}

  /** Throws {@link SqlSyntaxException} when the statement must not run. */
  Outcome check(List<Token> all) {
    int size = all.size();
    while (size > 0 && all.get(size - 1).isMark(';')) {
      size--;
    }
    if (size == 0) {
      throw new SqlSyntaxException("sql_empty", "there is no statement in the text", 0);
    }
    List<Token> tokens = all.subList(0, size);
    for (Token token : tokens) {
      if (token.isMark(';')) {
        throw new SqlSyntaxException(
            "sql_several_statements",
            "only one statement is allowed; a second one begins behind the semicolon",
            token.start());
      }
    }
    int parameters = (int) tokens.stream().filter(t -> t.kind() == Kind.PARAMETER).count();
    int end = tokens.get(size - 1).end();
    Token first = tokens.get(0);
    Optional<List<Token>> explained = explained(tokens);
    if (explained.isPresent()) {
      List<Token> query = explained.get();
      if (!query.isEmpty()) {
        checkQuery(query);
      }
      checkFunctions(tokens);
      return new Outcome(Verdict.Kind.EXPLAIN, query, end, parameters);
    }
    if (first.isWord("SHOW") || first.isWord("PRAGMA")) {
      checkShow(tokens);
      checkFunctions(tokens);
      return new Outcome(Verdict.Kind.SHOW, List.of(), end, parameters);
    }
    checkQuery(tokens);
    return new Outcome(Verdict.Kind.QUERY, tokens, end, parameters);
  }

  private void checkQuery(List<Token> tokens) {
    checkVerb(tokens, 0);
    checkFunctions(tokens);
    for (int i = 0; i < tokens.size(); i++) {
      Token token = tokens.get(i);
      if (token.isMark('(') && i + 1 < tokens.size()) {
        checkInner(tokens, i + 1);
      } else if (token.kind() == Kind.WORD) {
        checkWord(tokens, i);
      } else if (token.isOperator(":=") && dialect != Dialect.POSTGRESQL) {
        throw new SqlSyntaxException(
            "sql_changes_session", ":= assigns a variable; a read must not", token.start());
      } else if (token.kind() == Kind.VARIABLE) {
        checkVariable(token);
      }
    }
  }

  /** The statement itself has to begin like a query. */
  private void checkVerb(List<Token> tokens, int at) {
    int i = at;
    while (i < tokens.size() && tokens.get(i).isMark('(')) {
      i++;
    }
    if (i >= tokens.size()) {
      throw new SqlSyntaxException(
          "sql_not_understood", "there is no query in the parentheses", tokens.get(at).start());
    }
    Token first = tokens.get(i);
    boolean table = first.isWord("TABLE");
    boolean known =
        first.isWord("SELECT")
            || first.isWord("WITH")
            || first.isWord("VALUES")
            || (table
                && (dialect == Dialect.POSTGRESQL
                    || dialect == Dialect.MYSQL
                    || dialect == Dialect.H2));
    if (!known || (first.isWord("VALUES") && dialect == Dialect.SQLSERVER)) {
      String word = first.kind() == Kind.WORD ? first.fold() : "'" + first.value() + "'";
      throw new SqlSyntaxException(
          "sql_not_a_read",
          "a statement that begins with "
              + word
              + " is not allowed here; only reads such as SELECT are",
          first.start());
    }
    if (first.isWord("WITH")) {
      checkWith(tokens, i);
    }
  }

  /**
   * What follows an opening parenthesis may be a statement of its own: a CTE's body, a subquery,
   * H2's FINAL TABLE.
   */
  private void checkInner(List<Token> tokens, int i) {
    Token token = tokens.get(i);
    if (token.kind() != Kind.WORD) {
      return;
    }
    if (token.fold().equals("WITH")) {
      checkWith(tokens, i);
    } else if (WRITING_VERBS.contains(token.fold()) && i + 1 < tokens.size()) {
      Token next = tokens.get(i + 1);
      if (next.isName() || next.kind() == Kind.VARIABLE) {
        throw writes(token);
      }
    }
  }

  /** Finds the verb behind the common table expressions and demands that it reads. */
  private void checkWith(List<Token> tokens, int with) {
    int depth = 0;
    if (with + 1 < tokens.size()) {
      Token next = tokens.get(with + 1);
      if (next.isWord("FUNCTION") || next.isWord("PROCEDURE")) {
        throw new SqlSyntaxException(
            "sql_writes", "functions declared inside a statement are not allowed", next.start());
      }
    }
    for (int i = with + 1; i < tokens.size(); i++) {
      Token token = tokens.get(i);
      if (token.isMark('(')) {
        depth++;
      } else if (token.isMark(')')) {
        depth--;
        if (depth < 0) {
          return;
        }
      } else if (depth == 0
          && i > with + 1
          && tokens.get(i - 1).isMark(')')
          && token.kind() == Kind.WORD) {
        if (QUERY_VERBS.contains(token.fold())) {
          return;
        }
        if (WRITING_VERBS.contains(token.fold())) {
          throw writes(token);
        }
      }
    }
  }

  private void checkWord(List<Token> tokens, int i) {
    Token token = tokens.get(i);
    Token previous = i > 0 ? tokens.get(i - 1) : token;
    String next = i + 1 < tokens.size() ? tokens.get(i + 1).fold() : "";
    Kind nextKind = i + 1 < tokens.size() ? tokens.get(i + 1).kind() : Kind.MARK;
    String word = token.fold();
    boolean behindDot = i > 0 && previous.isMark('.');
    if (behindDot
        && word.equals("NEXTVAL")
        && (dialect == Dialect.H2 || dialect == Dialect.MYSQL)) {
      throw new SqlSyntaxException("sql_side_effect", "NEXTVAL changes a sequence", token.start());
    }
    if (behindDot && dialect.reservedNamesAfterDot()) {
      return;
    }
    if (word.equals("FOR") && nextKind == Kind.WORD && locks(tokens, i + 1)) {
      throw new SqlSyntaxException(
          "sql_locks", "FOR UPDATE and FOR SHARE lock rows; leave the clause out", token.start());
    }
    if (behindDot && dialect != Dialect.SQLSERVER) {
      return;
    }
    boolean aliased = i > 0 && previous.isWord("AS");
    if (aliased && (dialect == Dialect.POSTGRESQL || dialect == Dialect.H2)) {
      return;
    }
    switch (word) {
      case "INTO" ->
          throw new SqlSyntaxException(
              "sql_writes", "INTO stores the result somewhere; a read must not", token.start());
      case "LOCK" -> {
        if (next.equals("IN")) {
          throw new SqlSyntaxException(
              "sql_locks", "LOCK IN SHARE MODE locks rows; leave it out", token.start());
        }
      }
      case "NEXT" -> {
        if (next.equals("VALUE") && i + 2 < tokens.size() && tokens.get(i + 2).isWord("FOR")) {
          throw new SqlSyntaxException(
              "sql_side_effect", "NEXT VALUE FOR changes a sequence", token.start());
        }
      }
      case "FINAL", "OLD", "NEW" -> {
        if (next.equals("TABLE") && i + 2 < tokens.size() && tokens.get(i + 2).isMark('(')) {
          throw new SqlSyntaxException(
              "sql_writes",
              word + " TABLE (...) runs a change and reads its result",
              token.start());
        }
      }
      default -> {
        // the rest is decided below
      }
    }
    if (LOCKING_HINTS.contains(word) && dialect == Dialect.SQLSERVER) {
      throw new SqlSyntaxException(
          "sql_locks", "the hint " + word + " takes write locks; leave it out", token.start());
    }
    if (RESERVED.getOrDefault(dialect, Set.of()).contains(word)
        && !harmless(word, next, nextKind, previous)) {
      throw writes(token);
    }
  }

  private boolean harmless(String word, String next, Kind nextKind, Token previous) {
    if (nextKind == Kind.MARK && next.equals("(") && FUNCTIONS_TOO.contains(word)) {
      return dialect == Dialect.MYSQL || word.equals("REPLACE");
    }
    return switch (word) {
      case "FETCH" -> next.equals("NEXT") || next.equals("FIRST");
      case "USE" -> next.equals("HINT") || next.equals("PLAN");
      // recursive queries: SEARCH ... SET and CYCLE ... SET exist only where SET is not in the list
      case "SET" -> previous.isWord("CHARACTER");
      default -> false;
    };
  }

  /** Whether the words from here on are what follows FOR in a locking clause. */
  private boolean locks(List<Token> tokens, int i) {
    String word = tokens.get(i).fold();
    String next = i + 1 < tokens.size() ? tokens.get(i + 1).fold() : "";
    return word.equals("UPDATE")
        || word.equals("SHARE")
        || (word.equals("NO") && next.equals("KEY"))
        || (word.equals("KEY") && next.equals("SHARE"));
  }

  private void checkVariable(Token token) {
    boolean local = token.value().startsWith("@") && !token.value().startsWith("@@");
    if (dialect == Dialect.SQLSERVER && local) {
      throw new SqlSyntaxException(
          "sql_not_understood",
          "the variable " + token.value() + " is not declared; write ? and pass a parameter",
          token.start());
    }
    boolean bound =
        token.value().startsWith(":")
            || (dialect == Dialect.SQLITE && (token.value().startsWith("$") || local));
    if (bound) {
      throw new SqlSyntaxException(
          "sql_not_understood",
          "the name " + token.value() + " is not bound; write ? and pass a parameter",
          token.start());
    }
  }

  private void checkFunctions(List<Token> tokens) {
    List<String> parts = new ArrayList<>(4);
    for (int i = 0; i < tokens.size(); i++) {
      Token token = tokens.get(i);
      if (!token.isName()) {
        continue;
      }
      int start = i;
      parts.clear();
      parts.add(token.fold());
      while (i + 2 < tokens.size() && tokens.get(i + 1).isMark('.') && tokens.get(i + 2).isName()) {
        parts.add(tokens.get(i + 2).fold());
        i += 2;
      }
      int behind = i + 1;
      if (dialect == Dialect.ORACLE
          && behind < tokens.size()
          && tokens.get(behind).kind() == Kind.VARIABLE) {
        if (behind + 1 < tokens.size() && tokens.get(behind + 1).isMark('(')) {
          throw new SqlSyntaxException(
              "sql_function",
              "a function on another database ("
                  + tokens.get(behind).value()
                  + ") cannot be checked",
              token.start());
        }
      }
      boolean called = behind < tokens.size() && tokens.get(behind).isMark('(');
      boolean empty = called && behind + 1 < tokens.size() && tokens.get(behind + 1).isMark(')');
      Optional<String> why = functions.refusal(parts, called, empty);
      if (why.isPresent()) {
        throw new SqlSyntaxException(
            "sql_function",
            "the function " + String.join(".", parts) + " is not allowed: it " + why.get(),
            tokens.get(start).start());
      }
    }
  }

  /** The query behind EXPLAIN and its options, or empty when this is no EXPLAIN. */
  private Optional<List<Token>> explained(List<Token> tokens) {
    Token first = tokens.get(0);
    boolean mysqlDescribe =
        dialect == Dialect.MYSQL && (first.isWord("DESCRIBE") || first.isWord("DESC"));
    boolean analyze = dialect == Dialect.MYSQL && first.isWord("ANALYZE");
    if (!first.isWord("EXPLAIN") && !mysqlDescribe && !analyze) {
      return Optional.empty();
    }
    if (dialect == Dialect.ORACLE || dialect == Dialect.SQLSERVER) {
      throw new SqlSyntaxException(
          "sql_not_a_read",
          "EXPLAIN is not allowed: " + dialect.title() + " stores the plan in a table",
          first.start());
    }
    if (analyze && tokens.size() > 1 && tokens.get(1).isWord("TABLE")) {
      throw new SqlSyntaxException(
          "sql_not_a_read", "ANALYZE TABLE writes statistics", first.start());
    }
    int i = 1;
    if (dialect == Dialect.POSTGRESQL
        && i < tokens.size()
        && tokens.get(i).isMark('(')
        && isOptionList(tokens, i)) {
      while (i < tokens.size() && !tokens.get(i).isMark(')')) {
        i++;
      }
      i++;
    }
    Set<String> options =
        words(
            """
          ANALYZE VERBOSE EXTENDED PARTITIONS QUERY PLAN FOR FORMAT JSON TREE
          TRADITIONAL
          """);
    while (i < tokens.size()
        && ((tokens.get(i).kind() == Kind.WORD && options.contains(tokens.get(i).fold()))
            || (tokens.get(i).isOperator("=") && tokens.get(i - 1).isWord("FORMAT")))) {
      if (tokens.get(i).isWord("FOR")
          && i + 1 < tokens.size()
          && tokens.get(i + 1).isWord("CONNECTION")) {
        throw new SqlSyntaxException(
            "sql_not_a_read", "EXPLAIN FOR CONNECTION looks at other sessions", first.start());
      }
      i++;
    }
    if (i >= tokens.size()) {
      throw new SqlSyntaxException("sql_not_understood", "EXPLAIN has no query", first.start());
    }
    List<Token> rest = tokens.subList(i, tokens.size());
    boolean plainName =
        rest.get(0).isName()
            && rest.stream().allMatch(t -> t.isName() || t.isMark('.') || t.kind() == Kind.STRING);
    boolean beginsQuery =
        rest.get(0).isMark('(')
            || (rest.get(0).kind() == Kind.WORD
                && (QUERY_VERBS.contains(rest.get(0).fold()) || rest.get(0).isWord("WITH")));
    if (dialect == Dialect.MYSQL
        && !analyze
        && plainName
        && !beginsQuery
        && rest.size() <= 4
        && !WRITING_VERBS.contains(rest.get(0).fold())) {
      return Optional.of(List.of());
    }
    return Optional.of(rest);
  }

  private static boolean isOptionList(List<Token> tokens, int open) {
    return open + 1 < tokens.size()
        && tokens.get(open + 1).kind() == Kind.WORD
        && !QUERY_VERBS.contains(tokens.get(open + 1).fold())
        && !tokens.get(open + 1).isWord("WITH");
  }

  private void checkShow(List<Token> tokens) {
    Token first = tokens.get(0);
    String second = tokens.size() > 1 ? tokens.get(1).fold() : "";
    boolean plain =
        tokens.stream()
            .skip(1)
            .allMatch(t -> t.isName() || t.isMark('.') || t.kind() == Kind.STRING);
    boolean allowed =
        switch (dialect) {
          case POSTGRESQL ->
              first.isWord("SHOW") && plain && tokens.size() > 1 && tokens.size() <= 4;
          case H2 -> first.isWord("SHOW") && plain && tokens.size() > 1 && tokens.size() <= 5;
          case MYSQL ->
              first.isWord("SHOW") && SHOWABLE_MYSQL.contains(second) && noSubquery(tokens);
          case SQLITE -> first.isWord("PRAGMA") && readingPragma(tokens);
          case SQLSERVER, ORACLE -> false;
        };
    if (!allowed) {
      throw new SqlSyntaxException(
          "sql_not_a_read",
          "this form of " + first.fold() + " is not among the reads allowed here",
          first.start());
    }
  }

  private static boolean noSubquery(List<Token> tokens) {
    return tokens.stream()
        .noneMatch(
            t -> t.isWord("SELECT") || t.isWord("INTO") || t.isWord("WITH") || t.isOperator(":="));
  }

  private static boolean readingPragma(List<Token> tokens) {
    int i = 1;
    if (tokens.size() > 3 && tokens.get(2).isMark('.')) {
      i = 3;
    }
    if (i >= tokens.size() || !tokens.get(i).isName()) {
      return false;
    }
    String name = tokens.get(i).fold();
    if (i + 1 == tokens.size()) {
      return READING_PRAGMAS.contains(name) || READING_PRAGMAS_WITHOUT_VALUE.contains(name);
    }
    boolean oneArgument =
        tokens.size() == i + 4
            && tokens.get(i + 1).isMark('(')
            && (tokens.get(i + 2).isName() || tokens.get(i + 2).kind() == Kind.STRING)
            && tokens.get(i + 3).isMark(')');
    return oneArgument && READING_PRAGMAS.contains(name);
  }

  private SqlSyntaxException writes(Token verb) {
    return new SqlSyntaxException(
        "sql_writes",
        verb.fold() + " begins something other than a read; put the name in quotes if it is one",
        verb.start());
  }

  private static Set<String> words(String list) {
    return Set.of(list.trim().split("\\s+"));
  }
}
