package io.conexor.catalog;

import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Reads everything one organisation owns, in one transaction's snapshot. */
final class OrgReader {

  private OrgReader() {}

  static Optional<OrgCatalog> bySlug(Connection connection, String slug) throws SQLException {
    return read(connection, "slug = ?", slug);
  }

  static Optional<OrgCatalog> byId(Connection connection, OrgId id) throws SQLException {
    return read(connection, "id = ?", id.value());
  }

  private static Optional<OrgCatalog> read(Connection connection, String condition, Object key)
      throws SQLException {
    Organisation organisation;
    long version;
    try (PreparedStatement select =
        connection.prepareStatement(
            "select id, slug, name, created_at, version from organisations where " + condition)) {
      select.setObject(1, key);
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          return Optional.empty();
        }
        organisation =
            new Organisation(
                new OrgId(uuid(row, 1)), row.getString(2), row.getString(3), instant(row, 4));
        version = row.getLong(5);
      }
    }
    OrgId org = organisation.id();
    return Optional.of(
        new OrgCatalog(
            organisation,
            version,
            agents(connection, org),
            sources(connection, org),
            schemas(connection, org),
            tools(connection, org),
            servers(connection, org)));
  }

  private static Map<AgentId, Agent> agents(Connection connection, OrgId org) throws SQLException {
    Map<AgentId, Agent> agents = new HashMap<>();
    each(
        connection,
        "select id, name, allowed_sources, created_at from agents where org = ?",
        org,
        row -> {
          AgentId id = new AgentId(uuid(row, 1));
          Set<String> allowed = Set.copyOf(List.of((String[]) row.getArray(3).getArray()));
          agents.put(id, new Agent(id, org, row.getString(2), allowed, instant(row, 4)));
        });
    return agents;
  }

  private static Map<String, DataSource> sources(Connection connection, OrgId org)
      throws SQLException {
    Map<String, DataSource> sources = new HashMap<>();
    each(
        connection,
        "select name, engine, description, created_at from data_sources where org = ?",
        org,
        row ->
            sources.put(
                row.getString(1),
                new DataSource(
                    org, row.getString(1), row.getString(2), row.getString(3), instant(row, 4))));
    return sources;
  }

  private static Map<String, SourceSchema> schemas(Connection connection, OrgId org)
      throws SQLException {
    Map<String, SourceSchema> schemas = new HashMap<>();
    each(
        connection,
        "select s.name, d.engine, s.discovered_at, s.tables::text"
            + " from source_schemas s join data_sources d on d.org = s.org and d.name = s.name"
            + " where s.org = ?",
        org,
        row ->
            schemas.put(
                row.getString(1),
                new SourceSchema(
                    row.getString(1),
                    row.getString(2),
                    instant(row, 3),
                    Json.tables(row.getString(4)))));
    return schemas;
  }

  private static Map<ToolId, Tool> tools(Connection connection, OrgId org) throws SQLException {
    Map<ToolId, Tool> tools = new HashMap<>();
    each(
        connection,
        "select id, name, description, source, sql, parameters::text, created_at from tools where org = ?",
        org,
        row -> {
          ToolId id = new ToolId(uuid(row, 1));
          tools.put(
              id,
              new Tool(
                  id,
                  org,
                  row.getString(2),
                  row.getString(3),
                  row.getString(4),
                  row.getString(5),
                  Json.parameters(row.getString(6)),
                  instant(row, 7)));
        });
    return tools;
  }

  private static Map<String, McpServer> servers(Connection connection, OrgId org)
      throws SQLException {
    Map<String, McpServer> servers = new HashMap<>();
    each(
        connection,
        "select id, name, description, enabled, sources, generated_tools, free_query, tools, created_at"
            + " from mcp_servers where org = ?",
        org,
        row -> {
          Set<ToolId> tools = new HashSet<>();
          for (UUID tool : (UUID[]) row.getArray(8).getArray()) {
            tools.add(new ToolId(tool));
          }
          servers.put(
              row.getString(2),
              new McpServer(
                  new McpServerId(uuid(row, 1)),
                  org,
                  row.getString(2),
                  row.getString(3),
                  row.getBoolean(4),
                  new ArrayList<>(List.of((String[]) row.getArray(5).getArray())),
                  row.getBoolean(6),
                  row.getBoolean(7),
                  tools,
                  instant(row, 9)));
        });
    return servers;
  }

  private interface Row {
    void take(ResultSet row) throws SQLException;
  }

  private static void each(Connection connection, String sql, OrgId org, Row row)
      throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(sql)) {
      select.setObject(1, org.value());
      try (ResultSet rows = select.executeQuery()) {
        while (rows.next()) {
          row.take(rows);
        }
      }
    }
  }

  private static UUID uuid(ResultSet row, int column) throws SQLException {
    return row.getObject(column, UUID.class);
  }

  private static Instant instant(ResultSet row, int column) throws SQLException {
    return row.getObject(column, OffsetDateTime.class).toInstant();
  }
}
