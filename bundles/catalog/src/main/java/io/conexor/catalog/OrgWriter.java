package io.conexor.catalog;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.database.Database;
import io.conexor.api.database.SqlFailedException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * Changes rows, each change in one transaction that also raises the organisation's version. Every
 * statement may be repeated: a write whose first attempt was lost ends in the same rows.
 */
final class OrgWriter {

  private final Database database;
  private final Duration limit;

  /**
   * @param limit for one change, waiting for a new primary included
   */
  OrgWriter(Database database, Duration limit) {
    this.database = database;
    this.limit = limit;
  }

  void put(Organisation organisation) {
    settled(
        organisation.id(),
        connection ->
            update(
                connection,
                "insert into organisations (id, slug, name, created_at) values (?, ?, ?, ?)"
                    + " on conflict (id) do update set slug = excluded.slug, name = excluded.name,"
                    + " version = organisations.version + 1",
                organisation.id().value(),
                organisation.slug(),
                organisation.name(),
                time(organisation.createdAt())));
  }

  void put(Agent agent) {
    change(
        agent.org(),
        connection ->
            update(
                connection,
                "insert into agents (id, org, name, allowed_sources, created_at) values (?, ?, ?, ?, ?)"
                    + " on conflict (id) do update set name = excluded.name,"
                    + " allowed_sources = excluded.allowed_sources",
                agent.id().value(),
                agent.org().value(),
                agent.name(),
                agent.allowedSources().toArray(String[]::new),
                time(agent.createdAt())));
  }

  void put(DataSource source) {
    change(
        source.org(),
        connection ->
            update(
                connection,
                "insert into data_sources (org, name, engine, description, created_at)"
                    + " values (?, ?, ?, ?, ?) on conflict (org, name) do update set"
                    + " engine = excluded.engine, description = excluded.description",
                source.org().value(),
                source.name(),
                source.engine(),
                source.description(),
                time(source.createdAt())));
  }

  boolean add(DataSource source) {
    return settled(
        source.org(),
        connection -> {
          // The same order as every other editor: first in the line of the organisation.
          try (PreparedStatement line =
              connection.prepareStatement(
                  "select 1 from organisations where id = ? for no key update")) {
            bind(line, source.org().value());
            line.executeQuery().close();
          }
          boolean isNew =
              update(
                  connection,
                  "insert into data_sources (org, name, engine, description, created_at)"
                      + " values (?, ?, ?, ?, ?) on conflict (org, name) do nothing",
                  source.org().value(),
                  source.name(),
                  source.engine(),
                  source.description(),
                  time(source.createdAt()));
          if (isNew) {
            raiseVersion(connection, source.org());
          }
          return isNew;
        });
  }

  void put(Tool tool) {
    change(
        tool.org(),
        connection ->
            update(
                connection,
                "insert into tools (id, org, name, description, source, sql, parameters, created_at)"
                    + " values (?, ?, ?, ?, ?, ?, ?::jsonb, ?) on conflict (id) do update set"
                    + " name = excluded.name, description = excluded.description,"
                    + " source = excluded.source, sql = excluded.sql,"
                    + " parameters = excluded.parameters",
                tool.id().value(),
                tool.org().value(),
                tool.name(),
                tool.description(),
                tool.source(),
                tool.sql(),
                Json.of(tool.parameters()),
                time(tool.createdAt())));
  }

  void put(McpServer server) {
    change(
        server.org(),
        connection ->
            update(
                connection,
                "insert into mcp_servers (id, org, name, description, enabled, sources,"
                    + " generated_tools, free_query, tools, created_at)"
                    + " values (?, ?, ?, ?, ?, ?, ?, ?, ?::uuid[], ?) on conflict (id) do update set"
                    + " name = excluded.name, description = excluded.description,"
                    + " enabled = excluded.enabled, sources = excluded.sources,"
                    + " generated_tools = excluded.generated_tools,"
                    + " free_query = excluded.free_query, tools = excluded.tools",
                server.id().value(),
                server.org().value(),
                server.name(),
                server.description(),
                server.enabled(),
                server.sources().toArray(String[]::new),
                server.generatedTools(),
                server.freeQuery(),
                server.tools().stream().map(ToolId::toString).toArray(String[]::new),
                time(server.createdAt())));
  }

  /** False when an equal schema is stored already. */
  boolean put(OrgId org, SourceSchema schema) {
    String tables = Json.of(schema.tables());
    byte[] hash = sha256(tables);
    return settled(
        org,
        connection -> {
          try (PreparedStatement select =
              connection.prepareStatement(
                  "select hash from source_schemas where org = ? and name = ?")) {
            bind(select, org.value(), schema.source());
            try (ResultSet row = select.executeQuery()) {
              if (row.next() && Arrays.equals(row.getBytes(1), hash)) {
                return false;
              }
            }
          }
          raiseVersion(connection, org);
          update(
              connection,
              "insert into source_schemas (org, name, tables, hash, discovered_at)"
                  + " values (?, ?, ?::jsonb, ?, ?) on conflict (org, name) do update set"
                  + " tables = excluded.tables, hash = excluded.hash,"
                  + " discovered_at = excluded.discovered_at",
              org.value(),
              schema.source(),
              tables,
              hash,
              time(schema.discoveredAt()));
          return true;
        });
  }

  boolean remove(OrgId org, AgentId agent) {
    return change(
        org,
        connection -> {
          update(
              connection,
              "delete from api_keys where org = ? and kind = 'AGENT' and owner = ?",
              org.value(),
              agent.toString());
          return update(
              connection,
              "delete from agents where org = ? and id = ?",
              org.value(),
              agent.value());
        });
  }

  boolean removeSource(OrgId org, String name) {
    return change(
        org,
        connection ->
            update(
                connection,
                "delete from data_sources where org = ? and name = ?",
                org.value(),
                name));
  }

  boolean remove(OrgId org, ToolId tool) {
    return change(
        org,
        connection ->
            update(
                connection,
                "delete from tools where org = ? and id = ?",
                org.value(),
                tool.value()));
  }

  boolean remove(OrgId org, McpServerId server) {
    return change(
        org,
        connection -> {
          update(
              connection,
              "delete from api_keys where org = ? and kind = 'SERVER' and owner = ?",
              org.value(),
              server.toString());
          return update(
              connection,
              "delete from mcp_servers where org = ? and id = ?",
              org.value(),
              server.value());
        });
  }

  private <T> T change(OrgId org, Database.SqlWork<T> work) {
    return settled(
        org,
        connection -> {
          raiseVersion(connection, org);
          return work.run(connection);
        });
  }

  /** Row lock of the organisation: editors of one organisation stand in a line. */
  private static void raiseVersion(Connection connection, OrgId org) throws SQLException {
    if (!update(
        connection, "update organisations set version = version + 1 where id = ?", org.value())) {
      throw new ConexorException(
          Blame.CALLER, Applied.NO, "organisation_unknown", "there is no organisation " + org);
    }
  }

  private <T> T settled(OrgId org, Database.SqlWork<T> work) {
    try {
      return database.forOrganisation(org).write(Deadline.in(limit), work).value();
    } catch (SqlFailedException e) {
      throw explained(e);
    }
  }

  /** The names of the table's constraints end in what is wrong: see the migration. */
  private static ConexorException explained(SqlFailedException failure) {
    if (!(failure.getCause() instanceof PSQLException cause)) {
      return failure;
    }
    ServerErrorMessage message = cause.getServerErrorMessage();
    String constraint = message == null ? null : message.getConstraint();
    if (constraint == null) {
      return failure;
    }
    if (constraint.endsWith("_taken")) {
      return refused(
          constraint, "another one has this name already; choose a different one", failure);
    }
    if (constraint.endsWith("_invalid")) {
      return refused(
          constraint, "this value is not allowed: " + constraint.replace('_', ' '), failure);
    }
    if (constraint.endsWith("_source_missing")) {
      return refused("source_unknown", "there is no such data source in the organisation", failure);
    }
    return failure;
  }

  private static ConexorException refused(String code, String text, SqlFailedException cause) {
    return new ConexorException(Blame.CALLER, Applied.NO, code, text, cause);
  }

  private static boolean update(Connection connection, String sql, Object... values)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      bind(statement, values);
      return statement.executeUpdate() > 0;
    }
  }

  private static void bind(PreparedStatement statement, Object... values) throws SQLException {
    for (int i = 0; i < values.length; i++) {
      statement.setObject(i + 1, values[i]);
    }
  }

  private static OffsetDateTime time(Instant instant) {
    return instant.atOffset(ZoneOffset.UTC);
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
