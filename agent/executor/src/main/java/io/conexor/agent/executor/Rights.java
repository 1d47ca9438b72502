package io.conexor.agent.executor;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What the database role could do if nothing else held it back: the third defence, reported at the
 * start.
 *
 * @param canWrite whether the role has any right to change data
 * @param detail for people; what to do about it
 */
record Rights(boolean canWrite, String detail) {

  private static final String WRITES = "a role with SELECT only is the third defence; this one ";

  static Rights of(Connection connection, SourceSettings settings, Engine engine)
      throws SQLException {
    List<String> excess =
        switch (settings.dialect()) {
          case POSTGRESQL -> postgres(connection);
          case MYSQL -> mysql(connection);
          case SQLSERVER -> sqlserver(connection);
          case ORACLE -> oracle(connection);
          case H2 -> h2(connection);
          case SQLITE -> settings.isReadOnly() ? List.of() : List.of("writes to the file");
        };
    List<String> said = new ArrayList<>(excess);
    if (settings.isReadOnly() && !engine.hasReadOnlyTransactions(settings.url())) {
      String hint =
          settings.dialect() == Dialect.H2 ? " (add ;ACCESS_MODE_DATA=r to the URL of a file)" : "";
      said.add(
          settings.dialect().title()
              + " has no read-only transactions: statements are rolled back instead"
              + hint);
    }
    if (said.isEmpty()) {
      return new Rights(false, "");
    }
    return new Rights(
        !excess.isEmpty(), (excess.isEmpty() ? "" : WRITES) + String.join("; ", said));
  }

  private static List<String> postgres(Connection connection) throws SQLException {
    List<String> excess = new ArrayList<>();
    try (Statement statement = connection.createStatement()) {
      try (ResultSet row =
          statement.executeQuery(
              """
              SELECT r.rolsuper, r.rolcreaterole OR r.rolcreatedb OR r.rolreplication,
                pg_has_role(current_user, 'pg_write_server_files', 'member')
                  OR pg_has_role(current_user, 'pg_read_server_files', 'member')
                  OR pg_has_role(current_user, 'pg_execute_server_program', 'member'),
                has_database_privilege(current_database(), 'CREATE')
              FROM pg_roles r WHERE r.rolname = current_user\
              """)) {
        if (row.next()) {
          if (row.getBoolean(1)) {
            return List.of("is a superuser");
          }
          note(excess, row.getBoolean(2), "can create roles or databases, or replicate");
          note(excess, row.getBoolean(3), "reaches the server's files or programs");
          note(excess, row.getBoolean(4), "can create schemas");
        }
      }
      try (ResultSet row =
          statement.executeQuery(
              """
              SELECT count(*), min(n.nspname || '.' || c.relname)
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                AND n.nspname NOT LIKE 'pg\\_%'
                AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')\
              """)) {
        row.next();
        note(
            excess,
            row.getLong(1) > 0,
            "can change " + row.getLong(1) + " tables (" + row.getString(2) + ", ...)");
      }
    }
    return excess;
  }

  private static List<String> mysql(Connection connection) throws SQLException {
    List<String> excess = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SHOW GRANTS")) {
      while (row.next()) {
        String grant = row.getString(1).toUpperCase(Locale.ROOT);
        int on = grant.indexOf(" ON ");
        String privileges = on < 0 ? "" : grant.substring(0, on);
        boolean writes =
            privileges.contains("ALL PRIVILEGES")
                || List.of(
                        "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "FILE", "SUPER", "EXECUTE")
                    .stream()
                    .anyMatch(privileges::contains)
                || privileges.matches(".*\\bCREATE\\b(?! VIEW).*");
        if (writes) {
          String target = grant.substring(on + 4).replaceFirst(" TO .*", "");
          excess.add(
              "has "
                  + privileges.replaceFirst("^GRANT ", "").toLowerCase(Locale.ROOT)
                  + " on "
                  + target.toLowerCase(Locale.ROOT));
        }
      }
    }
    return excess.size() > 3 ? excess.subList(0, 3) : excess;
  }

  private static List<String> sqlserver(Connection connection) throws SQLException {
    List<String> excess = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                """
                SELECT ISNULL(IS_SRVROLEMEMBER('sysadmin'), 0), ISNULL(IS_MEMBER('db_owner'), 0),
                  ISNULL(IS_MEMBER('db_datawriter'), 0),
                  (SELECT COUNT(*) FROM fn_my_permissions(NULL, 'DATABASE') WHERE permission_name IN
                    ('INSERT', 'UPDATE', 'DELETE', 'ALTER', 'CONTROL', 'EXECUTE', 'CREATE TABLE'))\
                """)) {
      if (row.next()) {
        note(excess, row.getInt(1) == 1, "is sysadmin");
        note(excess, row.getInt(2) == 1, "is db_owner");
        note(excess, row.getInt(3) == 1, "is db_datawriter");
        note(excess, row.getInt(4) > 0, "can change or execute in the database");
      }
    }
    return excess;
  }

  private static List<String> oracle(Connection connection) throws SQLException {
    List<String> excess = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                """
                SELECT (SELECT COUNT(*) FROM session_privs WHERE privilege LIKE '% ANY %'
                    OR privilege LIKE 'CREATE TABLE%' OR privilege LIKE 'CREATE PROCEDURE%'),
                  (SELECT COUNT(*) FROM user_tab_privs WHERE privilege IN ('INSERT', 'UPDATE', 'DELETE', 'EXECUTE')
                    AND grantee = USER),
                  (SELECT COUNT(*) FROM user_tables)
                FROM DUAL\
                """)) {
      if (row.next()) {
        note(
            excess,
            row.getInt(1) > 0,
            "has " + row.getInt(1) + " system privileges that change things");
        note(excess, row.getInt(2) > 0, "can change or execute " + row.getInt(2) + " objects");
        note(excess, row.getInt(3) > 0, "owns " + row.getInt(3) + " tables");
      }
    }
    return excess;
  }

  private static List<String> h2(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT IS_ADMIN FROM INFORMATION_SCHEMA.USERS WHERE USER_NAME = CURRENT_USER")) {
      return row.next() && row.getBoolean(1) ? List.of("is an administrator") : List.of();
    }
  }

  private static void note(List<String> excess, boolean holds, String what) {
    if (holds) {
      excess.add(what);
    }
  }
}
