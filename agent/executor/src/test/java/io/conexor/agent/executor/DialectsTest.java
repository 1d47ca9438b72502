package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.call.ColumnType;
import java.sql.Types;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is special about engines that no test here can start: SQL Server, Oracle, MySQL itself. */
class DialectsTest {

  private static SourceSettings settings(String url) {
    return SourceSettings.checked(
        SourceConfig.PID + "~x", Fixture.config(Map.of("url", url, "max.time.ms", 20_000)));
  }

  private static Properties properties(String url) {
    SourceSettings settings = settings(url);
    return new Engine(settings).properties(settings);
  }

  @ParameterizedTest
  @CsvSource({
    "SQLSERVER, 1,    bit,              1,  0,  true,  BOOLEAN",
    "SQLSERVER, -7,   bit,              1,  0,  true,  BOOLEAN",
    "SQLSERVER, -6,   tinyint,          3,  0,  false, INTEGER",
    "SQLSERVER, -5,   bigint,           19, 0,  true,  INTEGER",
    "SQLSERVER, 3,    money,            19, 4,  true,  DECIMAL",
    "SQLSERVER, 8,    float,            15, 0,  true,  DOUBLE",
    "SQLSERVER, 1,    uniqueidentifier, 36, 0,  false, UUID",
    "SQLSERVER, -155, datetimeoffset,   34, 7,  false, TIMESTAMP_TZ",
    "SQLSERVER, 93,   datetime2,        27, 7,  false, TIMESTAMP",
    "SQLSERVER, -9,   nvarchar,         40, 0,  false, TEXT",
    "SQLSERVER, -3,   varbinary,        40, 0,  false, BYTES",
    "SQLSERVER, 2009, xml,              0,  0,  false, TEXT",
    "ORACLE,    2,    NUMBER,           0,  -127, true, DECIMAL",
    "ORACLE,    2,    NUMBER,           10, 0,  true,  INTEGER",
    "ORACLE,    2,    NUMBER,           38, 0,  true,  DECIMAL",
    "ORACLE,    2,    NUMBER,           12, 2,  true,  DECIMAL",
    "ORACLE,    101,  BINARY_DOUBLE,    0,  0,  true,  DOUBLE",
    "ORACLE,    93,   DATE,             0,  0,  false, TIMESTAMP",
    "ORACLE,    -101, TIMESTAMP WITH TIME ZONE, 0, 6, false, TIMESTAMP_TZ",
    "ORACLE,    -104, INTERVALDS,       2,  6,  false, INTERVAL",
    "ORACLE,    2005, CLOB,             0,  0,  false, TEXT",
    "ORACLE,    2004, BLOB,             0,  0,  false, BYTES",
    "ORACLE,    2016, JSON,             0,  0,  false, JSON",
    "ORACLE,    -8,   ROWID,            0,  0,  false, OTHER",
    "MYSQL,     -5,   BIGINT UNSIGNED,  20, 0,  false, DECIMAL",
    "MYSQL,     -7,   BIT,              9,  0,  false, BYTES",
    "MYSQL,     -1,   JSON,             0,  0,  false, JSON",
  })
  void types_are_translated(
      Dialect dialect,
      int jdbc,
      String name,
      int precision,
      int scale,
      boolean signed,
      String type) {
    int jdbcType = jdbc == 1 && name.equals("bit") ? Types.BIT : jdbc;

    assertThat(Columns.typeOf(dialect, jdbcType, name, precision, scale, signed))
        .isEqualTo(ColumnType.valueOf(type));
  }

  @Test
  void drivers_are_told_to_give_up_in_time() {
    assertThat(properties("jdbc:sqlserver://h;databaseName=d"))
        .containsEntry("loginTimeout", "3")
        .containsEntry("socketTimeout", "30000");
    assertThat(properties("jdbc:oracle:thin:@//h/d"))
        .containsEntry("oracle.net.CONNECT_TIMEOUT", "3000")
        .containsEntry("oracle.jdbc.ReadTimeout", "30000");
    assertThat(properties("jdbc:mysql://h/d")).containsEntry("socketTimeout", "30000");
    assertThat(properties("jdbc:postgresql://h/d")).containsEntry("socketTimeout", "30");
  }

  /** A server may ask these drivers for files, or for objects to unpack; see docs/security.md. */
  @Test
  void drivers_neither_send_files_nor_unpack_objects_nor_run_several_statements() {
    assertThat(properties("jdbc:mysql://h/d"))
        .containsEntry("allowLoadLocalInfile", "false")
        .containsEntry("autoDeserialize", "false")
        .containsEntry("allowMultiQueries", "false");
    assertThat(properties("jdbc:mariadb://h/d"))
        .containsEntry("allowLocalInfile", "false")
        .containsEntry("allowMultiQueries", "false");
  }

  @Test
  void each_engine_reads_in_the_strictest_transaction_it_has() {
    assertThat(transaction("jdbc:sqlserver://h")).isEqualTo(Engine.Transaction.EXPLICIT);
    assertThat(transaction("jdbc:oracle:thin:@//h/d")).isEqualTo(Engine.Transaction.EXPLICIT);
    assertThat(transaction("jdbc:mysql://h/d")).isEqualTo(Engine.Transaction.SESSION);
    assertThat(afterConnect("jdbc:mysql://h/d")).contains("SET SESSION TRANSACTION READ ONLY");
    assertThat(afterConnect("jdbc:postgresql://h/d"))
        .contains("SET default_transaction_read_only = on");
    assertThat(afterConnect("jdbc:sqlite:x.db")).contains("PRAGMA query_only = ON");
    assertThat(has("jdbc:oracle:thin:@//h/d")).isTrue();
    assertThat(has("jdbc:sqlserver://h")).isFalse();
    assertThat(has("jdbc:h2:./x")).isFalse();
    assertThat(has("jdbc:h2:./x;ACCESS_MODE_DATA=r")).isTrue();
  }

  private static Engine.Transaction transaction(String url) {
    return new Engine(settings(url)).transaction(10);
  }

  private static java.util.List<String> afterConnect(String url) {
    SourceSettings settings = settings(url);
    return new Engine(settings).afterConnect(settings);
  }

  private static boolean has(String url) {
    return new Engine(settings(url)).hasReadOnlyTransactions(url);
  }
}
