package io.conexor.audit;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Page;
import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The table {@code audit_records}. Methods block. */
final class AuditTable {

  private static final Duration DELIVERY = Duration.ofSeconds(10);
  private static final Duration SEARCH = Duration.ofSeconds(5);
  private static final Duration MAX_LAG = Duration.ofSeconds(5);

  /** A column: its name, its type in PostgreSQL, and its value of a record. */
  private record Col(String name, String type, Function<AuditRecord, @Nullable Object> value) {

    /** The driver sends arrays of these classes in binary; of others it makes text. */
    @Nullable Object[] array(int length) {
      return switch (type) {
        case "text" -> new String[length];
        case "int4" -> new Integer[length];
        case "int8" -> new Long[length];
        case "bool" -> new Boolean[length];
        default -> new Object[length];
      };
    }
  }

  private static final List<Col> COLUMNS =
      List.of(
          new Col("id", "uuid", r -> r.id().value()),
          new Col("at", "timestamptz", r -> OffsetDateTime.ofInstant(r.at(), ZoneOffset.UTC)),
          new Col("org", "uuid", AuditTable::org),
          new Col("action", "text", AuditRecord::action),
          new Col("outcome", "text", r -> r.outcome().name()),
          new Col("principal", "text", AuditRecord::principal),
          new Col("remote_address", "text", AuditRecord::remoteAddress),
          new Col("request_id", "text", AuditRecord::requestId),
          new Col("node", "text", AuditRecord::node),
          new Col("mcp_server", "text", AuditRecord::mcpServer),
          new Col("tool", "text", AuditRecord::tool),
          new Col("source", "text", AuditRecord::source),
          new Col("agent", "text", AuditRecord::agent),
          new Col("target", "text", AuditRecord::target),
          new Col("statement_hash", "text", AuditRecord::statementHash),
          new Col("parameter_count", "int4", AuditRecord::parameterCount),
          new Col("row_count", "int8", AuditRecord::rowCount),
          new Col("truncated", "bool", AuditRecord::truncated),
          new Col("elapsed_micros", "int8", AuditRecord::elapsedMicros),
          new Col("error", "text", AuditRecord::error));

  private static final String NAMES = String.join(", ", COLUMNS.stream().map(Col::name).toList());

  // One statement and one round trip whatever the number of records.
  private static final String INSERT =
      "INSERT INTO audit_records ("
          + NAMES
          + ") SELECT * FROM unnest("
          + String.join(", ", COLUMNS.stream().map(column -> "?::" + column.type() + "[]").toList())
          + ") ON CONFLICT (id) DO NOTHING";

  private final Database database;
  private final Database fleet;

  AuditTable(Database database) {
    this.database = database;
    this.fleet = database.forFleet();
  }

  private static @Nullable Object org(AuditRecord record) {
    OrgId org = record.org();
    return org == null ? null : org.value();
  }

  /** Stores records; those that are there already stay as they are. */
  void insert(List<AuditRecord> records) {
    var unused =
        fleet.write(
            Deadline.in(DELIVERY),
            connection -> {
              try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
                for (int i = 0; i < COLUMNS.size(); i++) {
                  Col column = COLUMNS.get(i);
                  @Nullable Object[] values = column.array(records.size());
                  for (int j = 0; j < values.length; j++) {
                    values[j] = column.value().apply(records.get(j));
                  }
                  insert.setArray(i + 1, connection.createArrayOf(column.type(), values));
                }
                return insert.executeUpdate();
              }
            });
  }

  Page<AuditRecord> search(AuditTrail.Query query) {
    if (query.limit() < 1 || query.limit() > 1_000) {
      throw invalid("limit_invalid", "limit is " + query.limit() + ", not within 1..1000");
    }
    Optional<Cursor> cursor = query.cursor().map(Cursor::parse);
    return database
        .forOrganisation(query.org())
        .read(
            Consistency.eventual(MAX_LAG),
            Deadline.in(SEARCH),
            connection -> search(connection, query, cursor));
  }

  private static Page<AuditRecord> search(
      Connection connection, AuditTrail.Query query, Optional<Cursor> cursor) throws SQLException {
    StringBuilder sql =
        new StringBuilder("SELECT ").append(NAMES).append(" FROM audit_records WHERE org = ?");
    List<Object> values = new ArrayList<>();
    values.add(query.org().value());
    query.action().ifPresent(value -> and(sql, values, "action = ?", value));
    query.principal().ifPresent(value -> and(sql, values, "principal = ?", value));
    query.source().ifPresent(value -> and(sql, values, "source = ?", value));
    query.outcome().ifPresent(value -> and(sql, values, "outcome = ?", value.name()));
    query.from().ifPresent(value -> and(sql, values, "at >= ?", utc(value)));
    query.to().ifPresent(value -> and(sql, values, "at < ?", utc(value)));
    cursor.ifPresent(
        after -> {
          and(sql, values, "(at, id) < (?, ?)", utc(after.at()));
          values.add(after.id());
        });
    sql.append(" ORDER BY at DESC, id DESC LIMIT ?");
    values.add(query.limit() + 1);
    try (PreparedStatement select = connection.prepareStatement(sql.toString())) {
      for (int i = 0; i < values.size(); i++) {
        select.setObject(i + 1, values.get(i));
      }
      try (ResultSet row = select.executeQuery()) {
        List<AuditRecord> records = new ArrayList<>();
        while (row.next()) {
          records.add(record(row));
        }
        if (records.size() <= query.limit()) {
          return new Page<>(records, Optional.empty());
        }
        records.remove(records.size() - 1);
        AuditRecord last = records.get(records.size() - 1);
        return new Page<>(
            records, Optional.of(new Cursor(last.at(), last.id().value()).toString()));
      }
    }
  }

  private static void and(StringBuilder sql, List<Object> values, String condition, Object value) {
    sql.append(" AND ").append(condition);
    values.add(value);
  }

  private static OffsetDateTime utc(Instant at) {
    return OffsetDateTime.ofInstant(at, ZoneOffset.UTC);
  }

  private static AuditRecord record(ResultSet row) throws SQLException {
    UUID org = row.getObject("org", UUID.class);
    return new AuditRecord(
        new AuditId(row.getObject("id", UUID.class)),
        row.getObject("at", OffsetDateTime.class).toInstant(),
        org == null ? null : new OrgId(org),
        row.getString("action"),
        AuditRecord.Outcome.valueOf(row.getString("outcome")),
        row.getString("principal"),
        row.getString("remote_address"),
        row.getString("request_id"),
        row.getString("node"),
        row.getString("mcp_server"),
        row.getString("tool"),
        row.getString("source"),
        row.getString("agent"),
        row.getString("target"),
        row.getString("statement_hash"),
        row.getInt("parameter_count"),
        row.getLong("row_count"),
        row.getBoolean("truncated"),
        row.getLong("elapsed_micros"),
        row.getString("error"));
  }

  private static ConexorException invalid(String code, String message) {
    return new ConexorException(Blame.CALLER, Applied.NO, code, message);
  }

  /** The last record of a page; microseconds, as the table keeps them. */
  private record Cursor(Instant at, UUID id) {
    static Cursor parse(String text) {
      try {
        ByteBuffer bytes = ByteBuffer.wrap(Base64.getUrlDecoder().decode(text));
        if (bytes.remaining() == 24) {
          return new Cursor(
              Instant.EPOCH.plus(bytes.getLong(), ChronoUnit.MICROS),
              new UUID(bytes.getLong(), bytes.getLong()));
        }
      } catch (IllegalArgumentException garbage) {
        // said below
      }
      throw invalid("cursor_invalid", "this is not a cursor of the audit trail");
    }

    @Override
    public String toString() {
      return Base64.getUrlEncoder()
          .withoutPadding()
          .encodeToString(
              ByteBuffer.allocate(24)
                  .putLong(ChronoUnit.MICROS.between(Instant.EPOCH, at))
                  .putLong(id.getMostSignificantBits())
                  .putLong(id.getLeastSignificantBits())
                  .array());
    }
  }
}
